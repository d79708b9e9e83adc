# bash completion of armvmctl, made by: armvmctl completion bash
# shellcheck shell=bash
_armvmctl_commands="create list show set edit rename clone start console shutdown wait stop reset pause resume balloon stats freeze thaw delete disk nic snapshot var events job host image completion help"

# The words of $list that begin as $cur does.
_armvmctl_words()
{
	mapfile -t COMPREPLY < <(compgen -W "$list" -- "$cur")
}

_armvmctl_files()
{
	compopt -o filenames
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}

_armvmctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} list="" i
	local prev=${COMP_WORDS[COMP_CWORD - 1]} words="" command=""

	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--disk | --memory | --vcpus | --max-hotplug | --nic | --firmware | --kernel | --initrd | --cmdline | --hypervisor | --arch | --gic | --feature | --memory-backing | --console | --description | --label | --autostart | --autostart-order | --autostart-delay | --on-crash | --on-reboot | --from | --state | --label | --description | --label | --autostart | --autostart-order | --autostart-delay | --on-crash | --on-reboot | --memory | --vcpus | --max-hotplug | --disk | --device | --timeout | --interval | --serial | --id | --timeout | --timeout | --id | --timeout | --timeout | --timeout | --name | --timeout | --since | --output | --socket | -o) i=$((i + 1)) ;;
		-*) ;;
		*) words+="${words:+ }${COMP_WORDS[i]}" ;;
		esac
	done
	case $words in
	"create" | "create "*) command="create" ;;
	"list" | "list "*) command="list" ;;
	"show" | "show "*) command="show" ;;
	"set" | "set "*) command="set" ;;
	"edit" | "edit "*) command="edit" ;;
	"rename" | "rename "*) command="rename" ;;
	"clone" | "clone "*) command="clone" ;;
	"start" | "start "*) command="start" ;;
	"console" | "console "*) command="console" ;;
	"shutdown" | "shutdown "*) command="shutdown" ;;
	"wait" | "wait "*) command="wait" ;;
	"stop" | "stop "*) command="stop" ;;
	"reset" | "reset "*) command="reset" ;;
	"pause" | "pause "*) command="pause" ;;
	"resume" | "resume "*) command="resume" ;;
	"balloon" | "balloon "*) command="balloon" ;;
	"stats" | "stats "*) command="stats" ;;
	"freeze" | "freeze "*) command="freeze" ;;
	"thaw" | "thaw "*) command="thaw" ;;
	"delete" | "delete "*) command="delete" ;;
	"disk add" | "disk add "*) command="disk add" ;;
	"disk remove" | "disk remove "*) command="disk remove" ;;
	"disk list" | "disk list "*) command="disk list" ;;
	"nic add" | "nic add "*) command="nic add" ;;
	"nic remove" | "nic remove "*) command="nic remove" ;;
	"nic list" | "nic list "*) command="nic list" ;;
	"snapshot save" | "snapshot save "*) command="snapshot save" ;;
	"snapshot restore" | "snapshot restore "*) command="snapshot restore" ;;
	"snapshot show" | "snapshot show "*) command="snapshot show" ;;
	"var list" | "var list "*) command="var list" ;;
	"var kept" | "var kept "*) command="var kept" ;;
	"var forget" | "var forget "*) command="var forget" ;;
	"events" | "events "*) command="events" ;;
	"job list" | "job list "*) command="job list" ;;
	"job show" | "job show "*) command="job show" ;;
	"job wait" | "job wait "*) command="job wait" ;;
	"job cancel" | "job cancel "*) command="job cancel" ;;
	"host info" | "host info "*) command="host info" ;;
	"image check" | "image check "*) command="image check" ;;
	"completion" | "completion "*) command="completion" ;;
	"help" | "help "*) command="help" ;;
	esac

	case "$command $prev" in
	"create --disk" | \
		"create --firmware" | \
		"create --kernel" | \
		"create --initrd" | \
		"create --from" | \
		"clone --disk" | \
		*" --socket")
		_armvmctl_files
		return
		;;
	"create --memory" | \
		"create --vcpus" | \
		"create --max-hotplug" | \
		"create --nic" | \
		"create --cmdline" | \
		"create --feature" | \
		"create --description" | \
		"create --label" | \
		"create --autostart-order" | \
		"create --autostart-delay" | \
		"list --label" | \
		"set --description" | \
		"set --label" | \
		"set --autostart-order" | \
		"set --autostart-delay" | \
		"set --memory" | \
		"set --vcpus" | \
		"set --max-hotplug" | \
		"shutdown --timeout" | \
		"stats --interval" | \
		"disk add --serial" | \
		"disk add --id" | \
		"disk add --timeout" | \
		"disk remove --timeout" | \
		"nic add --id" | \
		"nic add --timeout" | \
		"nic remove --timeout" | \
		"snapshot save --timeout" | \
		"snapshot restore --name" | \
		"snapshot restore --timeout" | \
		"events --since")
		return
		;;
	"create --hypervisor") list="auto kvm xen null" ;;
	"create --arch") list="aarch64 aarch32" ;;
	"create --gic") list="auto v2 v3" ;;
	"create --memory-backing") list="anonymous hugepages memfd" ;;
	"create --console") list="pl011 virtio both" ;;
	"create --autostart") list="yes no" ;;
	"create --on-crash") list="stop restart preserve" ;;
	"create --on-reboot") list="stop restart preserve" ;;
	"list --state") list="stopped starting running paused shutting-down stopping crashed" ;;
	"set --autostart") list="yes no" ;;
	"set --on-crash") list="stop restart preserve" ;;
	"set --on-reboot") list="stop restart preserve" ;;
	"console --device") list="pl011 virtio" ;;
	*" --output") list="table json jsonl" ;;
	esac
	if [[ -n $list ]]; then
		_armvmctl_words
		return
	fi
	if [[ $cur == -* ]]; then
		case $command in
		"") list="--output --socket --help --version " ;;
		"create") list="--disk --memory --vcpus --max-hotplug --nic --vsock --firmware --kernel --initrd --cmdline --hypervisor --arch --gic --feature --memory-backing --console --description --label --autostart --autostart-order --autostart-delay --on-crash --on-reboot --transient --from --output --socket --help --version" ;;
		"list") list="--names --state --label --output --socket --help --version" ;;
		"show") list="--output --socket --help --version" ;;
		"set") list="--description --label --autostart --autostart-order --autostart-delay --on-crash --on-reboot --memory --vcpus --max-hotplug --output --socket --help --version" ;;
		"edit") list="--output --socket --help --version" ;;
		"rename") list="--output --socket --help --version" ;;
		"clone") list="--disk --output --socket --help --version" ;;
		"start") list="--console --no-wait --if-stopped --output --socket --help --version" ;;
		"console") list="--device --output --socket --help --version" ;;
		"shutdown") list="--timeout --output --socket --help --version" ;;
		"wait") list="--output --socket --help --version" ;;
		"stop") list="--output --socket --help --version" ;;
		"reset") list="--output --socket --help --version" ;;
		"pause") list="--output --socket --help --version" ;;
		"resume") list="--output --socket --help --version" ;;
		"balloon") list="--output --socket --help --version" ;;
		"stats") list="--watch --interval --output --socket --help --version" ;;
		"freeze") list="--output --socket --help --version" ;;
		"thaw") list="--output --socket --help --version" ;;
		"delete") list="--force --keep-variables --output --socket --help --version" ;;
		"disk add") list="--serial --id --readonly --timeout --live --persistent --output --socket --help --version" ;;
		"disk remove") list="--timeout --force --live --persistent --output --socket --help --version" ;;
		"disk list") list="--output --socket --help --version" ;;
		"nic add") list="--id --timeout --live --persistent --output --socket --help --version" ;;
		"nic remove") list="--timeout --force --live --persistent --output --socket --help --version" ;;
		"nic list") list="--output --socket --help --version" ;;
		"snapshot save") list="--stop --freeze --compress --overwrite --timeout --no-wait --output --socket --help --version" ;;
		"snapshot restore") list="--name --paused --changed-disks --timeout --no-wait --output --socket --help --version" ;;
		"snapshot show") list="--output --socket --help --version" ;;
		"var list") list="--output --socket --help --version" ;;
		"var kept") list="--output --socket --help --version" ;;
		"var forget") list="--output --socket --help --version" ;;
		"events") list="--follow --since --output --socket --help --version" ;;
		"job list") list="--running --output --socket --help --version" ;;
		"job show") list="--output --socket --help --version" ;;
		"job wait") list="--output --socket --help --version" ;;
		"job cancel") list="--output --socket --help --version" ;;
		"host info") list="--output --socket --help --version" ;;
		"image check") list="--output --socket --help --version" ;;
		"completion") list="--output --socket --help --version" ;;
		"help") list="--output --socket --help --version" ;;
		esac
		_armvmctl_words
		return
	fi
	case $command in
	"")
		case $words in
		"") list=$_armvmctl_commands ;;
		disk) list+=" add" ;;&
		disk) list+=" remove" ;;&
		disk) list+=" list" ;;&
		nic) list+=" add" ;;&
		nic) list+=" remove" ;;&
		nic) list+=" list" ;;&
		snapshot) list+=" save" ;;&
		snapshot) list+=" restore" ;;&
		snapshot) list+=" show" ;;&
		var) list+=" list" ;;&
		var) list+=" kept" ;;&
		var) list+=" forget" ;;&
		job) list+=" list" ;;&
		job) list+=" show" ;;&
		job) list+=" wait" ;;&
		job) list+=" cancel" ;;&
		host) list+=" info" ;;&
		image) list+=" check" ;;&
		esac
		;;
	"show") list=$(armvmctl list --names 2>/dev/null) ;;
	"set") list=$(armvmctl list --names 2>/dev/null) ;;
	"edit") list=$(armvmctl list --names 2>/dev/null) ;;
	"rename") list=$(armvmctl list --names 2>/dev/null) ;;
	"clone") list=$(armvmctl list --names 2>/dev/null) ;;
	"start") list=$(armvmctl list --names 2>/dev/null) ;;
	"console") list=$(armvmctl list --names 2>/dev/null) ;;
	"shutdown") list=$(armvmctl list --names 2>/dev/null) ;;
	"wait") list=$(armvmctl list --names 2>/dev/null) ;;
	"stop") list=$(armvmctl list --names 2>/dev/null) ;;
	"reset") list=$(armvmctl list --names 2>/dev/null) ;;
	"pause") list=$(armvmctl list --names 2>/dev/null) ;;
	"resume") list=$(armvmctl list --names 2>/dev/null) ;;
	"balloon") list=$(armvmctl list --names 2>/dev/null) ;;
	"stats") list=$(armvmctl list --names 2>/dev/null) ;;
	"freeze") list=$(armvmctl list --names 2>/dev/null) ;;
	"thaw") list=$(armvmctl list --names 2>/dev/null) ;;
	"delete") list=$(armvmctl list --names 2>/dev/null) ;;
	"disk add") list=$(armvmctl list --names 2>/dev/null) ;;
	"disk remove") list=$(armvmctl list --names 2>/dev/null) ;;
	"disk list") list=$(armvmctl list --names 2>/dev/null) ;;
	"nic add") list=$(armvmctl list --names 2>/dev/null) ;;
	"nic remove") list=$(armvmctl list --names 2>/dev/null) ;;
	"nic list") list=$(armvmctl list --names 2>/dev/null) ;;
	"snapshot save") list=$(armvmctl list --names 2>/dev/null) ;;
	"snapshot restore")
		_armvmctl_files
		return
		;;
	"snapshot show")
		_armvmctl_files
		return
		;;
	"var list") list=$(armvmctl list --names 2>/dev/null) ;;
	"image check")
		_armvmctl_files
		return
		;;
	"completion") list="bash" ;;
	"help") list=$_armvmctl_commands ;;
	esac
	_armvmctl_words
}

complete -F _armvmctl armvmctl
