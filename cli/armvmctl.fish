# fish completion of armvmctl, made by: armvmctl completion fish
function __armvmctl_words
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    set -l lines (printf '%s\n' $words "$current" |
        armvmctl completion words 2>/dev/null)
    if test "$lines[1]" = :files
        __fish_complete_path "$current"
    else if set -q lines[1]
        printf '%s\n' $lines
    end
end

complete -c armvmctl -f -a '(__armvmctl_words)'
