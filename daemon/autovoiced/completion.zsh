#compdef autovoiced
# Completion of autovoiced for zsh.
_autovoiced() {
    local -a found
    local line files=
    while IFS= read -r line; do
        case $line in
            :files) files=yes ;;
            *) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <($words[1] __complete -- "${(@)words[2,$CURRENT]}" 2>/dev/null)
    (( $#found )) && _describe autovoiced found
    [[ -n $files ]] && _files
}
if [[ $funcstack[1] == _autovoiced ]]; then
    _autovoiced "$@" # found in fpath
else
    compdef _autovoiced autovoiced # read with source
fi
