#compdef armvmctl
# zsh completion of armvmctl, made by: armvmctl completion zsh
_armvmctl() {
	local line
	local -a lines found

	lines=("${(@f)$(printf '%s\n' "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" |
		armvmctl completion words 2>/dev/null)}")
	if [[ $lines[1] == :files ]]; then
		compset -P '--*='
		_files
		return
	fi
	for line in $lines; do
		found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
	done
	_describe -t armvmctl armvmctl found
}

# Loaded by its name, or sourced.
if [[ $funcstack[1] == _armvmctl ]]; then
	_armvmctl "$@"
else
	compdef _armvmctl armvmctl
fi
