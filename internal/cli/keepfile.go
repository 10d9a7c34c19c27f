package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"justright/internal/store"
	"justright/problem"
)

// keepFile writes a file that a person asked for, whole or not at all, and returns its full path. What is no regular file, like
// /dev/stdout, is written as it is.
func (w *World) keepFile(path string, data []byte, mode fs.FileMode) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = os.WriteFile(path, data, mode)
	} else {
		err = writeWhole(path, data, mode)
	}
	if err != nil {
		exit := problem.ExitUsage
		if store.Full(err) {
			exit = problem.ExitCapacity
		}
		return path, problem.New(exit, "unwritable_file", "cannot write %s", path).Wrap(err)
	}
	return path, nil
}

// roomFor tells early, before a network is asked for what the file will hold, that there is no directory for it.
func (w *World) roomFor(path string) error {
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.Dir, path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return problem.New(problem.ExitUsage, "unwritable_file", "cannot write %s", path).Because("there is no directory %s", filepath.Dir(path))
	}
	return nil
}

// writeWhole writes beside the file and moves it there, so that nobody ever reads half of it.
func writeWhole(path string, data []byte, mode fs.FileMode) error {
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(t.Name()) }()
	_, err = t.Write(data)
	if err2 := errors.Join(t.Chmod(mode), t.Close()); err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}
