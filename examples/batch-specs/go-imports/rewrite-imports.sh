#!/bin/sh
# Rewrites the import of one Go package to another path. Files keep using it under its old name.
#   rewrite-imports.sh OLD NEW
set -eu

old=$1 new=$2
name=${old##*/}
# In a pattern a dot would stand for any character.
pattern=$(printf '%s' "$old" | sed 's/\./\\./g')

find . -name '*.go' -type f | sort | while read -r file; do
	grep -q "\"$old\"" "$file" || continue
	sed -i \
		-e "s|^\(import \)\"$pattern\"|\1$name \"$new\"|" \
		-e "s|^\([[:space:]]*\)\"$pattern\"|\1$name \"$new\"|" \
		-e "s|\"$pattern\"|\"$new\"|" \
		"$file"
	echo "$file"
done
