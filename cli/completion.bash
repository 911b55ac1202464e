# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Completion of vnetctl for bash: verbs and options stand here, guests, pools,
# attachments and modes come from the daemon (vnetctl complete), silently none of
# them where it cannot be asked.

# Bash ends words at ":" and "=", our PCI addresses and options do not: words[] is the
# line up to the cursor with such pieces joined again. socket[] is its --socket.
_vnetctl_words() {
	local i word joins=''
	words=() socket=()
	for ((i = 0; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $i -gt 0 && ($joins || $word == [:=]*) ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
		joins=''
		[[ $word == *[:=] && $i -gt 0 ]] && joins=1
	done
	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		case ${words[i]} in
		--socket=*) socket=("${words[i]}") ;;
		--socket) socket=("--socket=${words[i + 1]}") ;;
		esac
	done
}

_vnetctl_ask() { # WHAT [VM]
	"${words[0]/#\~/$HOME}" "${socket[@]}" complete "$@" 2>/dev/null
}

# The lines of stdin that go on from $cur, each behind PREFIX.
_vnetctl_offer() { # [PREFIX]
	local line quote='' typed=$cur done_already=$((${#whole} - ${#last}))
	case $typed in
	[\"\']*) quote=${typed:0:1} typed=${typed:1} ;;
	*) typed=${typed//\\/} ;;
	esac
	while IFS= read -r line; do
		[[ -n $line && $line == "$typed"* ]] || continue
		[ -n "$quote" ] || printf -v line %q "$line"
		line=${1-}$line
		COMPREPLY+=("${line:done_already}")
	done
}

_vnetctl_words_of() { # WORD...
	_vnetctl_offer < <(printf '%s\n' "$@")
}

_vnetctl_value() { # OPTION PREFIX
	local prefix=${2-}
	case $1 in
	--mode)
		# The last of a list.
		if [[ $cur == *,* ]]; then
			prefix+=${cur%,*},
			cur=${cur##*,}
		fi
		_vnetctl_offer "$prefix" < <(_vnetctl_ask modes)
		;;
	--pool) _vnetctl_offer "$prefix" < <(_vnetctl_ask pools) ;;
	--driver)
		_vnetctl_offer "$prefix" < <(printf '%s\n' vfio-pci uio_pci_generic none default)
		;;
	--socket | --qmp)
		compopt -o filenames 2>/dev/null
		while IFS= read -r prefix; do COMPREPLY+=("$prefix"); done < <(compgen -f -- "$cur")
		;;
	esac
}

_vnetctl() {
	local words socket cur whole last verb='' options='--json --socket= --help --usage --version'
	local i n=0 args=() scope='--live --config'
	local takes='--mode|--pool|--name|--mac|--vlan|--queues|--model|--mtu|--trunk|-o|--option|--driver|--qmp|--socket'
	local wish='--mode= --pool= --name= --mac= --vlan= --queues= --model= --mtu= --trunk= --option= --no-fallback'
	COMPREPLY=()
	_vnetctl_words
	# What bash itself takes for the word, and will put the answer in place of.
	whole=${words[-1]} cur=$whole last=${COMP_WORDS[COMP_CWORD]}
	[[ $last != [:=] ]] || last=

	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		case ${words[i]} in
		--mode | --pool | --name | --mac | --vlan | --queues | --model | --mtu | --trunk | -o | --option | --driver | --qmp | --socket) i=$((i + 1)) ;;
		-*) ;;
		*)
			if [ -z "$verb" ]; then verb=${words[i]}; else args+=("${words[i]//\\/}"); fi
			;;
		esac
	done
	n=${#args[@]}

	if [[ $cur =~ ^($takes)= ]]; then
		cur=${cur#*=}
		_vnetctl_value "${BASH_REMATCH[1]}" "${BASH_REMATCH[1]}="
		return
	elif [[ ${#words[@]} -gt 2 && ${words[-2]} =~ ^($takes)$ ]]; then
		_vnetctl_value "${words[-2]}"
		return
	fi

	case $verb in
	attach) options+=" $wish $scope --qmp= --timing" ;;
	exec) options+=" $wish" ;;
	plan | why) options+=" $wish $scope" ;;
	detach) options+=" $scope --qmp= --all" ;;
	inventory) options+=' --verbose' ;;
	bind) options+=' --driver=' ;;
	esac
	if [[ $cur == -* ]]; then
		# shellcheck disable=SC2086 # words
		_vnetctl_words_of $options
		[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null
		return
	fi
	case $verb/$n in
	/0 | help/0) _vnetctl_words_of attach bind exec detach help list show inventory why plan mode pool reload ;;
	attach/0 | why/0 | plan/1 | list/0) _vnetctl_offer < <(_vnetctl_ask guests) ;;
	detach/0 | show/0) _vnetctl_offer < <(_vnetctl_ask attachments) ;;
	detach/1 | show/1) [[ ${args[0]} == */* ]] || _vnetctl_offer < <(_vnetctl_ask attachments "${args[0]}") ;;
	plan/0) _vnetctl_words_of attach ;;
	bind/0) _vnetctl_offer < <(_vnetctl_ask functions) ;;
	mode/0 | pool/0) _vnetctl_words_of list ;;
	esac
}

complete -F _vnetctl vnetctl
