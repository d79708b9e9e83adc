# bash completion of armvmctl, made by: armvmctl completion bash
# shellcheck shell=bash
_armvmctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} line

	COMPREPLY=()
	while IFS= read -r line; do
		if [[ $line == :files ]]; then
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "${cur#=}")
			return
		fi
		COMPREPLY+=("${line%%$'\t'*}")
	done < <(printf '%s\n' "${COMP_WORDS[@]:1:COMP_CWORD}" |
		armvmctl completion words 2>/dev/null)
}

complete -F _armvmctl armvmctl
