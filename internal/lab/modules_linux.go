package lab

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Modules returns the files of the modules of Debian's user-mode kernel, and of
// what they need, in the order in which they can be loaded. A module that the
// kernel has built in has no file.
func Modules(modules ...string) ([]string, error) {
	list, err := filepath.Glob(filepath.Join(umlModules, "*", "modules.dep"))
	if err != nil || len(list) != 1 {
		return nil, fmt.Errorf("lab: want one kernel's modules in %s, found %q", umlModules, list)
	}
	needs, names, err := moduleDeps(list[0])
	if err != nil {
		return nil, err
	}
	var files []string
	for _, module := range modules {
		file, ok := names[module]
		if !ok {
			continue
		}
		// modules.dep names the nearest dependency first.
		for _, path := range slices.Backward(append([]string{file}, needs[file]...)) {
			if !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
	}
	for i, file := range files {
		files[i] = filepath.Join(filepath.Dir(list[0]), file)
	}
	return files, nil
}

// moduleDeps reads modules.dep: what each file needs, and each module's file.
func moduleDeps(path string) (needs map[string][]string, names map[string]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	needs, names = map[string][]string{}, map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		file, deps, _ := strings.Cut(lines.Text(), ":")
		needs[file] = strings.Fields(deps)
		name := strings.TrimSuffix(filepath.Base(file), ".ko")
		names[strings.ReplaceAll(name, "-", "_")] = file
	}
	return needs, names, lines.Err()
}
