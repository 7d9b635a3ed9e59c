/**
 * Runs one container in the foreground and writes down how it ended. It outlives the agent, so it is a shell and not a
 * Node process: some hundred kilobytes a container. Arguments: the container's directory, then the command.
 *
 * `trap :` keeps the shell alive without making the container ignore signals: caught signals are reset in children,
 * ignored ones would not be. It never runs the command with `&`, which would make it ignore SIGINT and SIGQUIT.
 */
export const SHIM_SCRIPT = `cd "$1" || exit 1
shift
trap : HUP INT QUIT TERM
read -r stat </proc/self/stat
printf '%s\\n' "$stat" >shim.stat
"$@" </dev/null
code=$?
printf '%s\\n' "$code" >exit.tmp && mv exit.tmp exit
`;
