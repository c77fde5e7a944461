# The gate of a container in a pod, its first process. Its streams are named pipes, whose other ends the runner has: opening one waits for the runner.

# The first process of a container does not hear of signals that it does not ask for.
trap 'exit 143' TERM
exec </.capstan/in >/.capstan/out 2>/.capstan/err

# Ends the step when the runner says so.
(read -r line </.capstan/stop; kill -9 -1) >/dev/null 2>&1 &

