package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The kernel counts CPU time in these for everybody, whatever its own tick (proc(5), sysconf(3)).
const ticksPerSecond = 100

// Usage is what processes have used up to one moment.
type Usage struct {
	at  time.Time
	cpu float64 // seconds, user and system, of the processes and their waited-for children
	own float64 // the same of this process
	rss int64   // bytes that would be freed if the processes ended: shared pages count in part
}

// usageOf adds up a server's processes and all that they started.
func usageOf(pids []int) (Usage, error) {
	usage := Usage{at: time.Now(), own: ownCPU()}
	for _, pid := range family(pids) {
		cpu, err := cpuSeconds(pid)
		if err != nil {
			return usage, fmt.Errorf("the server is gone: %w", err)
		}
		usage.cpu += cpu
		usage.rss += memory(pid)
	}
	return usage, nil
}

// since gives the figures between two moments, a cost for each of `count` things.
func (now Usage) since(before Usage, count int) Result {
	wall := now.at.Sub(before.at).Seconds()
	result := Result{
		"wall":      wall,
		"count":     count,
		"cpu":       now.cpu - before.cpu,
		"cores":     (now.cpu - before.cpu) / wall,
		"percent":   100 * (now.cpu - before.cpu) / wall,
		"load_cpu":  (now.own - before.own) / wall,
		"rss":       now.rss,
		"rss_begin": before.rss,
	}
	if count > 0 {
		result["us"] = (now.cpu - before.cpu) / float64(count) * 1e6
	}
	return result
}

func family(pids []int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		fields, err := statFields(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
	}
	found := append([]int{}, pids...)
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found
}

// statFields are those of /proc/<pid>/stat behind the program's name, which may hold spaces.
func statFields(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])), nil
}

func cpuSeconds(pid int) (float64, error) {
	fields, err := statFields(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	ticks := 0.0
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		value, _ := strconv.ParseFloat(field, 64)
		ticks += value
	}
	return ticks / ticksPerSecond, nil
}

func memory(pid int) int64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "Pss:") {
			kib, _ := strconv.ParseInt(strings.Fields(line)[1], 10, 64)
			return kib * 1024
		}
	}
	return 0
}

func ownCPU() float64 {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func seconds(value syscall.Timeval) float64 {
	return float64(value.Sec) + float64(value.Usec)/1e6
}
