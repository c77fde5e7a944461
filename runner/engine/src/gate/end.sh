# Tells on both streams how the script ended, in $1, and more about it in $2, if anything.

exec 2>&3 3>&-
echo "$CAPSTAN_GATE$1$2"
echo "$CAPSTAN_GATE$1$2" >&2
exit "$1"
