#!/bin/sh
# Fetches the libraries that vendor.txt names from npm, with their licences.
# A file whose sum is not the noted one stops it; a sum of "-" (write it when
# you change a version) takes what npm gives and notes its sum.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

while read -r package version path file sum; do
	case $package in
	'#'*)
		echo "$package${version:+ $version} $path $file $sum" | sed 's/ *$//' >>"$work/vendor.txt"
		continue
		;;
	esac
	dir=$work/$package@$version
	if [ ! -d "$dir" ]; then
		mkdir -p "$dir"
		(cd "$dir" && npm pack --silent "$package@$version" >/dev/null && tar xzf ./*.tgz)
		{
			printf '%s %s\n\n' "$package" "$version"
			cat "$dir"/package/LICENSE*
			printf '\n----\n\n'
		} >>"$work/licences"
	fi
	got=$(sha256sum <"$dir/package/$path" | cut -d' ' -f1)
	if [ "$sum" != - ] && [ "$sum" != "$got" ]; then
		echo "error: $path of $package@$version has the sum $got, not $sum" >&2
		exit 1
	fi
	install -m 644 "$dir/package/$path" "$work/$file"
	echo "$package $version $path $file $got" >>"$work/vendor.txt"
done <vendor.txt

install -m 644 "$work"/*.mjs "$work"/*.js .
install -m 644 "$work/licences" LICENCES.txt
install -m 644 "$work/vendor.txt" vendor.txt
