# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of vnetctl for fish: verbs and options stand here, guests, pools,
# attachments and modes come from the daemon (vnetctl complete), silently none of
# them where it cannot be asked.

# The words of the line before the cursor that are no options, without vnetctl itself.
function __vnetctl_args
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
        else if string match -qr -- '^(-o|--(mode|pool|name|mac|vlan|queues|model|mtu|trunk|option|driver|qmp|socket))$' $word
            set skip yes
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

# Is this the verb, with COUNT words behind it?
function __vnetctl_at # COUNT VERB...
    set -l args (__vnetctl_args)
    test (count $args) -eq (math $argv[1] + 1); and contains -- $args[1] $argv[2..-1]
end

function __vnetctl_verb # VERB...
    set -l args (__vnetctl_args)
    test (count $args) -gt 0; and contains -- $args[1] $argv
end

function __vnetctl_ask # WHAT [VM]
    set -l words (commandline -opc)
    set -l socket
    for i in (seq 2 (count $words))
        if test "$words[$i]" = --socket
            set socket --socket $words[(math $i + 1)]
        else if string match -q -- '--socket=*' $words[$i]
            set socket $words[$i]
        end
    end
    $words[1] $socket complete $argv 2>/dev/null
end

function __vnetctl_names
    set -l args (__vnetctl_args)
    string match -q -- '*/*' $args[2]; or __vnetctl_ask attachments $args[2]
end

complete -c vnetctl -f
complete -c vnetctl -l json -d 'Print the reply, or the error, as JSON'
complete -c vnetctl -l socket -r -F -d 'Where vnetd listens'
complete -c vnetctl -l help -d 'Give help'
complete -c vnetctl -l usage -d 'Give a short usage message'
complete -c vnetctl -l version -d 'Print the version'

set -l none 'test (count (__vnetctl_args)) -eq 0'
complete -c vnetctl -n $none -a attach -d 'Give a guest a NIC'
complete -c vnetctl -n $none -a exec -d 'Run a QEMU with a NIC'
complete -c vnetctl -n $none -a detach -d 'Take it back'
complete -c vnetctl -n $none -a list -d 'All attachments'
complete -c vnetctl -n $none -a show -d 'One of them, and what was done for it'
complete -c vnetctl -n $none -a inventory -d 'The host\'s NICs, their VFs, who uses them'
complete -c vnetctl -n $none -a why -d 'Every candidate, and why it can or cannot'
complete -c vnetctl -n $none -a plan -d 'What attach would do'
complete -c vnetctl -n $none -a bind -d 'Bind a NIC or VF for programs'
complete -c vnetctl -n $none -a mode -d 'The ways to give a guest a NIC'
complete -c vnetctl -n $none -a pool -d 'What NICs are taken from'
complete -c vnetctl -n $none -a reload -d 'Read the configuration again'
complete -c vnetctl -n $none -a help -d 'What there is, or what a verb does'

complete -c vnetctl -n '__vnetctl_at 0 attach why list' -a '(__vnetctl_ask guests)'
complete -c vnetctl -n '__vnetctl_at 0 plan' -a attach
complete -c vnetctl -n '__vnetctl_at 1 plan' -a '(__vnetctl_ask guests)'
complete -c vnetctl -n '__vnetctl_at 0 detach show' -a '(__vnetctl_ask attachments)'
complete -c vnetctl -n '__vnetctl_at 1 detach show' -a '(__vnetctl_names)'
complete -c vnetctl -n '__vnetctl_at 0 mode pool' -a list
complete -c vnetctl -n '__vnetctl_at 0 help' -a 'attach bind detach exec help inventory list mode plan pool reload show why'
complete -c vnetctl -n '__vnetctl_at 0 bind' -a '(__vnetctl_ask functions)'

set -l asks '__vnetctl_verb attach exec why plan'
complete -c vnetctl -n $asks -l mode -x -a '(__vnetctl_ask modes)' -d 'How, the first that can'
complete -c vnetctl -n $asks -l pool -x -a '(__vnetctl_ask pools)' -d 'From where'
complete -c vnetctl -n $asks -l name -x -d 'Name of the NIC'
complete -c vnetctl -n $asks -l mac -x -d 'Its address'
complete -c vnetctl -n $asks -l vlan -x -d 'Its VLAN'
complete -c vnetctl -n $asks -l queues -x -d 'Pairs of queues'
complete -c vnetctl -n $asks -l model -x -a 'virtio e1000 e1000e vmxnet3' -d 'The device that the guest sees'
complete -c vnetctl -n $asks -l mtu -x -d 'Its MTU'
complete -c vnetctl -n $asks -l trunk -x -d 'The VLANs that it may tag'
complete -c vnetctl -n $asks -l option -s o -x -d 'For the mode: KEY=VALUE'
complete -c vnetctl -n $asks -l no-fallback -d 'The first mode or none'
set -l scoped '__vnetctl_verb attach detach why plan'
complete -c vnetctl -n $scoped -l live -d 'Only the running guest'
complete -c vnetctl -n $scoped -l config -d 'Only the persistent configuration'
complete -c vnetctl -n '__vnetctl_verb attach detach' -l qmp -r -F -d 'The QEMU with this monitor'
complete -c vnetctl -n '__vnetctl_verb detach' -l all -d 'Every NIC of the guest'
complete -c vnetctl -n '__vnetctl_verb attach' -l timing -d 'Say where the time went'
complete -c vnetctl -n '__vnetctl_verb bind' -l driver -x -a 'vfio-pci uio_pci_generic none default' -d 'To what'
complete -c vnetctl -n '__vnetctl_verb inventory' -l verbose -d 'All columns, other links and taps too'
