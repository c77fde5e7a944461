# Waits until the gate opens, then runs the step's script. Arguments: the two halves of the token and the step's
# directory. It keeps to positional parameters and builtins, so that it changes no variable of the step and needs
# nothing of the image; what shells set by themselves is put right by the environment file.

set -- "$1$2" /bin/sh "$3" ''
if BASH_ENV= /bin/bash -c : >/dev/null 2>&1 </dev/null; then set -- "$1" /bin/bash "$3" ''; fi
if [ -x /bin/env ]; then set -- "$1" "$2" "$3" /bin/env; fi
if [ -x /usr/bin/env ]; then set -- "$1" "$2" "$3" /usr/bin/env; fi

# Bash would give up reading after TMOUT seconds.
unset TMOUT
echo "${1}ready"
echo "${1}ready" >&2

# The end of input without the word means that nobody will open this gate any more.
CAPSTAN_GATE=
read -r CAPSTAN_GATE
if [ "$CAPSTAN_GATE" != open ]; then exit 0; fi

# The engine makes a working directory that does not exist, so the gate does too.
if ! { cd "$3" || { mkdir -p "$3" && cd "$3"; }; } >/dev/null 2>&1; then
  echo "${1}directory"
  echo "${1}directory" >&2
  exit 1
fi

# Exports the step's variables and leaves as parameters the token and the words that start the script.
. /.capstan/env 2>/dev/null
CAPSTAN_GATE=$1
shift
if [ -z "$1" ]; then
  echo "${CAPSTAN_GATE}env"
  echo "${CAPSTAN_GATE}env" >&2
  exit 1
fi

# The shell's own remarks ("Killed") go nowhere; the script's standard error is the real one. The subshell makes
# sure that the shell does not have it while it waits.
exec 3>&2 2>/dev/null
(exec "$@" /.capstan/script) </dev/null 2>&3 3>&-
set -- "$?"
