# Holds a network for the containers that join it, and tells by what names are resolved in it. Argument: what a file begins with.

for file in /etc/hosts /etc/hostname /etc/resolv.conf; do
  if [ -r "$file" ]; then
    echo "$1$file"
    while IFS= read -r line || [ -n "$line" ]; do echo "$line"; done <"$file"
  fi
done
echo "$2ready"
echo "$2ready" >&2

# Until nobody needs it any more.
read -r line
