import type { Command } from 'commander';

/** Makes a command and all its parts leave by throwing, without words of their own: who called prints and decides. */
export function prepare(command: Command): Command {
  command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => undefined });
  for (const part of command.commands) prepare(part);
  return command;
}

/** Puts what Commander says into the words of the rest of the program: one line, with the suggestion in it. */
export function inOneLine(message: string): string {
  const [first = '', suggestion = ''] = message.replace(/^error: /, '').split('\n');
  const meant = /^\(Did you mean (?:one of )?(.+)\?\)$/.exec(suggestion)?.[1];
  const quoted = first.replaceAll(/'([^']*)'/g, '"$1"');
  if (meant === undefined) return quoted;
  const names = meant.split(', ').map((name) => `"${name}"`);
  return `${quoted}: did you mean ${names.join(' or ')}?`;
}

/** Something that may stand at a place of a command line. */
export interface Candidate {
  readonly word: string;
  readonly about: string;
}

/** Lists what may stand in the place of the last of these words, which may be unfinished; nothing where a file or a name belongs. */
export function candidatesFor(root: Command, words: readonly string[]): Candidate[] {
  const before = words.slice(0, -1);
  const last = words.at(-1) ?? '';
  let command = root;
  for (const word of before) {
    const part = command.commands.find((each) => each.name() === word);
    if (part !== undefined) command = part;
  }
  const option = command.options.find(({ long, short }) =>
    [long ?? '', short ?? ''].includes(before.at(-1) ?? '-'),
  );
  if (option !== undefined && (option.required || option.optional)) {
    return starting(
      (option.argChoices ?? []).map((word) => ({ word, about: '' })),
      last,
    );
  }
  const parts = command.commands
    .filter((part) => part.name() !== 'help')
    .map((part) => ({ word: part.name(), about: part.description() }));
  if (!last.startsWith('-')) return starting(parts, last);
  const help: Candidate = { word: '--help', about: 'display help for command' };
  const options = command.options
    .filter(({ hidden }) => !hidden)
    .map(({ long, short, description }) => ({ word: long ?? short ?? '', about: description }));
  return starting([...options, help], last);
}

/** Keeps those that begin as the word does. */
export function starting(candidates: readonly Candidate[], word: string): Candidate[] {
  return candidates.filter((candidate) => candidate.word !== '' && candidate.word.startsWith(word));
}
