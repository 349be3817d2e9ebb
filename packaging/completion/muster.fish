# fish completion for muster: install as ~/.config/fish/completions/muster.fish
# The program itself knows what may follow; names of targets and deployments come from the hub.
function __muster_complete
    set -l words (commandline -opc)
    set -l unfinished (commandline -ct)
    command $words[1] __complete $words[2..-1] "$unfinished" 2>/dev/null
end
complete -c muster -f -a '(__muster_complete)'
complete -c muster -l token-file -r -F
complete -c muster -l ca-file -r -F
