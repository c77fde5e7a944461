# What the script has left behind is killed, and the end is told when it is gone: nobody outside sees the processes of this container. Those that are dead
# but have no parent that asks for them do no harm.

CAPSTAN_TRIES=0
while kill -9 -1; do
  CAPSTAN_LEFT=
  for CAPSTAN_PROCESS in /proc/[0-9]*; do
    if [ "$CAPSTAN_PROCESS" = "/proc/$$" ]; then continue; fi
    CAPSTAN_STATE=
    while read -r CAPSTAN_KEY CAPSTAN_STATE CAPSTAN_REST; do
      if [ "$CAPSTAN_KEY" = State: ]; then break; fi
      CAPSTAN_STATE=
    done <"$CAPSTAN_PROCESS/status"
    case $CAPSTAN_STATE in
      Z | X | '') ;;
      *) CAPSTAN_LEFT=$CAPSTAN_PROCESS ;;
    esac
  done
  if [ -z "$CAPSTAN_LEFT" ]; then break; fi
  CAPSTAN_TRIES=$((CAPSTAN_TRIES + 1))
  if [ "$CAPSTAN_TRIES" -gt 10000 ]; then set -- left; break; fi
done

# The count of those that the kernel has killed in this container for lack of memory, as cgroups of version 2 and 1 tell it.
for CAPSTAN_FILE in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
  if [ -r "$CAPSTAN_FILE" ]; then
    while read -r CAPSTAN_KEY CAPSTAN_COUNT; do
      if [ "$CAPSTAN_KEY" = oom_kill ] && [ "$CAPSTAN_COUNT" != 0 ]; then set -- "$1" ' memory'; fi
    done <"$CAPSTAN_FILE"
  fi
done

