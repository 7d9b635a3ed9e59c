import { Command, Argument } from 'commander';
import { EXIT } from './exit.ts';

/** Each shell asks the program itself, so that what it offers is what there is; where nothing is offered it takes file names. */
const SCRIPTS = {
  bash: `_dray() {
  local IFS=$'\\n'
  COMPREPLY=($(dray __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o default -o bashdefault -F _dray dray
`,
  zsh: `#compdef dray
_dray() {
  local line
  local -a pairs
  for line in "\${(@f)$(dray __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && pairs+=("\${line%%$'\\t'*}:\${line#*$'\\t'}")
  done
  if (( \${#pairs} )); then _describe dray pairs; else _files; fi
}
compdef _dray dray
`,
  fish: `function __dray_complete
  set -l words (commandline -opc) (commandline -ct)
  dray __complete $words[2..-1] 2>/dev/null
end
complete -c dray -a '(__dray_complete)'
`,
} as const;

/** `dray completion SHELL`. */
export function command(): Command {
  return new Command()
    .description(
      'Prints a script by which a shell completes commands and options: source <(dray completion bash), or put it where the shell looks for such.',
    )
    .addArgument(new Argument('<shell>', 'shell that is to complete').choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS) => {
      process.stdout.write(SCRIPTS[shell]);
      process.exitCode = EXIT.ok;
    });
}
