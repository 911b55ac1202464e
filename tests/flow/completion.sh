#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What Tab offers in bash, zsh and fish, with a real vnetd behind it and without one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export PATH=$build:$PATH
new_host --pfs 2 --guests 2
# A name that a shell would take for two words.
sed 's/vm1/my vm/; s/<uuid>[^<]*/<uuid>6f6f6f6f-0000-4000-8000-000000000009/' \
	"$host/guests/vm1.xml" >"$host/guests/my vm.xml"
mkdir "$work/plugins" # however many modes there are
cp "$build/plugins/vnet-vf.so" "$work/plugins"
start --plugins "$work/plugins"
expect 0 'vm1/net0' attach vm1 --mode vf --pool enp1s0
expect 0 'vm1/second' attach vm1 --mode vf --pool enp2s0 --name second
expect 0 'vm2/net0' attach vm2 --mode vf

note "the words themselves"
words() { "$build/vnetctl" --socket "$socket" complete "$@" | paste -sd'|'; }
same "guests" "my vm|vm1|vm2" "$(words guests)"
same "pools" "enp1s0|enp2s0|enp9s0" "$(words pools)"
same "modes" "vf" "$(words modes)"
same "attachments" "vm1/net0|vm1/second|vm2/net0" "$(words attachments)"
same "attachments of vm1" "net0|second" "$(words attachments vm1)"
same "attachments of nobody" "" "$(words attachments nosuch)"
expect 2 "'nosuch' is not known here" complete nosuch
expect 2 'is not known here' complete pools vm1
expect 2 'an argument is missing' complete

# bash_tab LINE: what Tab would offer with the cursor at the end of LINE, |-separated.
# COMP_WORDS as readline makes it: blanks part words, ":" and "=" are words of their own.
bash_tab() {
	# shellcheck disable=SC2016 # for the inner shell
	bash --norc -c '
		. "$1"
		line=$2
		COMP_WORDS=() word= kept=
		for ((i = 0; i < ${#line}; i++)); do
			c=${line:i:1}
			case $c in
			\\) kept=1 word+=$c; i=$((i + 1)); word+=${line:i:1} ;;
			" ") [ -z "$word$kept" ] || COMP_WORDS+=("$word"); word= kept= ;;
			[:=]) [ -z "$word" ] || COMP_WORDS+=("$word"); COMP_WORDS+=("$c"); word= kept= ;;
			*) word+=$c ;;
			esac
		done
		[[ $line == *[:=] ]] || COMP_WORDS+=("$word")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line}
		_vnetctl vnetctl "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
		printf "%s\n" "${COMPREPLY[@]}" | sort | paste -sd"|"' - \
		"$top/cli/completion.bash" "$1"
}

fish_tab() {
	# shellcheck disable=SC2016 # for fish
	fish --no-config -c 'source $argv[1]; complete -C $argv[2]' \
		"$top/cli/completion.fish" "$1" | cut -f 1 | sort | paste -sd'|'
}

# A terminal with a zsh in it; what compadd takes is what would be offered.
zsh_tab() {
	zsh -f -c '
		zmodload zsh/zpty
		zpty tab zsh -f -i
		zpty -w tab "PS1= PS2= RPS1=; unsetopt prompt_cr prompt_sp; stty -echo"
		zpty -w tab "fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D"
		zpty -w tab "compadd() {
			if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd \"\$@\"; return; fi
			local -a __hits
			builtin compadd -A __hits \"\$@\"
			(( \$#__hits )) || return 1
			print -rl -- \"HIT \"\${^__hits}
		}"
		zpty -w tab "tab() { _main_complete; print END }; zle -C tab complete-word tab; bindkey \"^I\" tab"
		zpty -w tab "print READY"
		while zpty -r tab line && [[ $line != READY* ]]; do :; done
		zpty -w -n tab "$2"$'"'\\t'"'
		while zpty -r tab line && [[ $line != *END* ]]; do print -r -- $line; done
		zpty -d tab' - "$work/zsh" "$1" | tr -d '\r' | sed -n 's/.*HIT //p' | sort -u | paste -sd'|'
}

verbs='attach|bind|detach|exec|help|inventory|list|mode|plan|pool|reload|show|why'

check_bash() {
	local s="vnetctl --socket $socket"
	same "bash: verbs" "$verbs" "$(bash_tab 'vnetctl ')"
	same "bash: one verb" "attach" "$(bash_tab 'vnetctl at')"
	same "bash: guests" 'my\ vm|vm1|vm2' "$(bash_tab "$s attach ")"
	same "bash: a guest with a blank" 'my\ vm' "$(bash_tab "$s attach my\\ ")"
	same "bash: no second guest" "" "$(bash_tab "$s attach vm1 ")"
	same "bash: socket behind =" "vm1|vm2" "$(bash_tab "vnetctl --socket=$socket attach vm")"
	same "bash: pools" "enp1s0|enp2s0|enp9s0" "$(bash_tab "$s attach vm1 --pool ")"
	same "bash: pools behind =" "enp2s0" "$(bash_tab "$s attach vm1 --pool=enp2")"
	same "bash: nothing behind =" "enp1s0|enp2s0|enp9s0" "$(bash_tab "$s attach vm1 --pool=")"
	same "bash: modes" "vf" "$(bash_tab "$s why vm1 --mode ")"
	same "bash: the second mode" "tap,vf" "$(bash_tab "$s why vm1 --mode tap,")"
	same "bash: attachments" "vm1/net0|vm1/second|vm2/net0" "$(bash_tab "$s detach ")"
	same "bash: NICs of the guest" "net0|second" "$(bash_tab "$s detach vm1 ")"
	same "bash: named already" "" "$(bash_tab "$s show vm1/net0 ")"
	same "bash: plan" "attach" "$(bash_tab "$s plan ")"
	same "bash: plan's guests" "vm1|vm2" "$(bash_tab "$s plan attach vm")"
	same "bash: guests of list" "vm1|vm2" "$(bash_tab "$s list vm")"
	same "bash: help" "detach" "$(bash_tab "$s help det")"
	same "bash: all" "--all" "$(bash_tab "$s detach vm1 --a")"
	same "bash: mode list" "list" "$(bash_tab "$s mode ")"
	same "bash: options" "--live" "$(bash_tab "$s detach vm1 --l")"
	same "bash: options of attach" "--mac=|--mode=|--model=|--mtu=" "$(bash_tab "$s attach vm1 --m")"
	same "bash: nothing there" "" "$(bash_tab "vnetctl --socket $work/none attach ")"
}

check_fish() {
	local s="vnetctl --socket $socket"
	same "fish: verbs" "$verbs" "$(fish_tab 'vnetctl ')"
	same "fish: guests" 'my vm|vm1|vm2' "$(fish_tab "$s attach ")"
	same "fish: no second guest" "" "$(fish_tab "$s attach vm1 ")"
	same "fish: pools" "enp1s0|enp2s0|enp9s0" "$(fish_tab "$s attach vm1 --pool ")"
	same "fish: pools behind =" "--pool=enp2s0" "$(fish_tab "$s attach vm1 --pool=enp2")"
	same "fish: modes" "vf" "$(fish_tab "$s why vm1 --mode ")"
	same "fish: attachments" "vm1/net0|vm1/second|vm2/net0" "$(fish_tab "$s detach ")"
	same "fish: NICs of the guest" "net0|second" "$(fish_tab "$s detach vm1 ")"
	same "fish: plan's guests" "my vm|vm1|vm2" "$(fish_tab "$s plan attach ")"
	same "fish: guests of list" "my vm|vm1|vm2" "$(fish_tab "$s list ")"
	same "fish: help" "detach" "$(fish_tab "$s help det")"
	same "fish: options" "--live" "$(fish_tab "$s detach vm1 --l")"
	same "fish: nothing there" "" "$(fish_tab "vnetctl --socket $work/none attach ")"
}

check_zsh() {
	local s="vnetctl --socket $socket"
	mkdir -p "$work/zsh"
	cp "$top/cli/completion.zsh" "$work/zsh/_vnetctl"
	same "zsh: verbs" "$verbs" "$(zsh_tab 'vnetctl ')"
	same "zsh: guests" 'my\ vm|vm1|vm2' "$(zsh_tab "$s attach ")"
	same "zsh: no second guest, but options" "--timing" "$(zsh_tab "$s attach vm1 " | grep -oE 'vm[0-9]|--timing')"
	same "zsh: pools" "enp1s0|enp2s0|enp9s0" "$(zsh_tab "$s attach vm1 --pool=")"
	same "zsh: modes" "vf" "$(zsh_tab "$s why vm1 --mode=")"
	same "zsh: attachments" "vm1/net0|vm1/second|vm2/net0" "$(zsh_tab "$s detach ")"
	same "zsh: NICs of the guest" "net0|second" "$(zsh_tab "$s detach vm1 ")"
	same "zsh: plan's guests" "vm1|vm2" "$(zsh_tab "$s plan attach vm")"
	same "zsh: nothing there" "" "$(zsh_tab "vnetctl --socket $work/none attach ")"
}

missing=
for shell in bash fish zsh; do
	if command -v $shell >/dev/null; then
		note "$shell"
		check_$shell
	else
		missing="$missing $shell"
	fi
done

note "a daemon that hangs: Tab comes back, with nothing"
kill -STOP "$daemon"
rc=0
text=$(vnet complete guests 2>&1) || rc=$?
same "guests, exit code" " 0" "$text $rc"
same "bash" "" "$(bash_tab "vnetctl --socket $socket attach ")"
kill -CONT "$daemon"

[ -z "$missing" ] || skip "not tried: no$missing"
