#compdef vnetctl
# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of vnetctl for zsh: verbs and options stand here, guests, pools,
# attachments and modes come from the daemon (vnetctl complete), silently none of
# them where it cannot be asked.

# Where the line says that vnetd listens, before the verb or behind it.
_vnetctl_socket() {
	[[ -z ${opt_args[--socket]} ]] || socket=(--socket ${(Q)opt_args[--socket]})
}

_vnetctl_ask() { # TAG DESCRIPTION WHAT [VM]
	local tag=$1 description=$2 expl
	local -a found
	shift 2
	_vnetctl_socket
	found=(${(f)"$($command_of_line $socket complete "$@" 2>/dev/null)"})
	_wanted $tag expl $description compadd -a found
}

_vnetctl_guests() { _vnetctl_ask guests guest guests; }
_vnetctl_pools() { _vnetctl_ask pools pool pools; }
_vnetctl_functions() { _vnetctl_ask functions 'PCI address' functions; }
_vnetctl_modes() {
	compset -P '*,'
	_vnetctl_ask modes mode modes
}
_vnetctl_attachments() { _vnetctl_ask attachments attachment attachments; }
# The names of the guest that stands before.
_vnetctl_names() {
	[[ $line[1] == */* ]] || _vnetctl_ask names 'name of the NIC' attachments ${(Q)line[1]}
}

_vnetctl() {
	local curcontext=$curcontext state line command_of_line=${(Q)words[1]}
	local -A opt_args
	local -a common scope ask qmp verbs socket
	common=(
		'--json[print the reply, or the error, as JSON]'
		'--socket=[where vnetd listens]:socket:_files'
		'(- *)--help[give help]'
		'(- *)--usage[give a short usage message]'
		'(- *)--version[print the version]'
	)
	scope=(
		'(--config)--live[only the running guest]'
		'(--live)--config[only the persistent configuration]'
	)
	qmp=('--qmp=[the QEMU with this monitor]:socket:_files')
	ask=(
		'--mode=[how, the first that can]:mode:_vnetctl_modes'
		'--pool=[from where]:pool:_vnetctl_pools'
		'--name=[name of the NIC]:name: '
		'--mac=[its address]:MAC: '
		'--vlan=[its VLAN]:VLAN: '
		'--queues=[pairs of queues]:N: '
		'--model=[the device that the guest sees]:model:(virtio e1000 e1000e vmxnet3)'
		'--mtu=[its MTU]:bytes: '
		'--trunk=[the VLANs that it may tag]:IDs: '
		'*--option=[for the mode]:KEY=VALUE: '
		'--no-fallback[the first mode or none]'
	)
	verbs=(
		'attach:give a guest a NIC'
		'exec:run a QEMU with a NIC'
		'detach:take it back'
		'list:all attachments'
		'show:one of them, and what was done for it'
		"inventory:the host's NICs, their VFs, who uses them"
		'why:every candidate, and why it can or cannot'
		'plan:what attach would do'
		'bind:bind a NIC or VF for programs'
		'mode:the ways to give a guest a NIC'
		'pool:what NICs are taken from'
		'reload:read the configuration again'
		'help:what there is, or what a verb does'
	)

	_arguments -C $common '1:verb:->verb' '*::argument:->argument' && return
	_vnetctl_socket
	case $state in
	verb)
		_describe -t verbs verb verbs
		return
		;;
	argument) ;;
	*) return 1 ;;
	esac
	case $words[1] in
	attach)
		_arguments $common $scope $ask $qmp '--timing[say where the time went]' \
			'1:guest:_vnetctl_guests'
		;;
	exec) _arguments $common $ask '1:guest: ' '*::command:_normal' ;;
	why) _arguments $common $scope $ask '1:guest:_vnetctl_guests' ;;
	plan) _arguments $common $scope $ask '1:what:(attach)' '2:guest:_vnetctl_guests' ;;
	detach)
		_arguments $common $scope $qmp '--all[every NIC of the guest]' \
			'1:attachment:_vnetctl_attachments' '2:name:_vnetctl_names'
		;;
	show) _arguments $common '1:attachment:_vnetctl_attachments' '2:name:_vnetctl_names' ;;
	inventory) _arguments $common '--verbose[all columns, other links and taps too]' ;;
	bind)
		_arguments $common '--driver=[to what]:driver:(vfio-pci uio_pci_generic none default)' \
			'1:address:_vnetctl_functions'
		;;
	list) _arguments $common '1:guest:_vnetctl_guests' ;;
	help)
		state=
		_arguments $common '1:verb:->verb' && return
		[[ $state == verb ]] && _describe -t verbs verb verbs
		;;
	mode | pool) _arguments $common '1:what:(list)' ;;
	*) _arguments $common ;;
	esac
}

_vnetctl "$@"
