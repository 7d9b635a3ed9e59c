/**
 * Runs one container in the foreground and writes down how it ended. It outlives the agent, so it is a shell and not a
 * Node process: some hundred kilobytes a container. Arguments: the container's directory, then the command.
 *
 * `trap :` keeps the shell alive without making the container ignore signals: caught signals are reset in children,
 * ignored ones would not be. It never runs the command with `&`, which would make it ignore SIGINT and SIGQUIT.
 *
 * A container that takes input has a named pipe `stdin`. Somebody must always hold it open for writing, or the container would be told
 * that its input has ended: a program that sleeps, until it is ended (`container-input.ts`).
 */
export const SHIM_SCRIPT = `cd "$1" || exit 1
shift
trap : HUP INT QUIT TERM
read -r stat </proc/self/stat
printf '%s\\n' "$stat" >shim.stat
if [ -p stdin ]; then
  sleep 2147483647 <>stdin >/dev/null 2>&1 &
  keeper=$!
  printf '%s\\n' "$keeper" >stdin.keeper
  "$@" <stdin
  code=$?
  rm -f stdin.keeper
  kill "$keeper" 2>/dev/null
else
  "$@" </dev/null
  code=$?
fi
printf '%s\\n' "$code" >exit.tmp && mv exit.tmp exit
`;
