package hub

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"justright/catalog"
	"justright/model"
	"justright/problem"
)

// maxShards bounds how many weight files are looked into; the largest published checkpoint has 163.
const maxShards = 1024

// maxIndexBytes bounds model.safetensors.index.json; DeepSeek-V3's has 9 MB.
const maxIndexBytes = 32 << 20

// readDir makes the profile of a checkpoint directory.
func readDir(dir string) (model.Profile, error) {
	config, err := readFile(filepath.Join(dir, "config.json"), model.MaxConfigBytes)
	if errors.Is(err, os.ErrNotExist) {
		return model.Profile{}, problem.New(problem.ExitUsage, "no_checkpoint", "%s has no config.json", dir).
			Because("%s", "a model's directory holds config.json, a tokenizer and *.safetensors").
			Try("name the directory that holds them", "")
	}
	if err != nil {
		return model.Profile{}, problem.New(problem.ExitUsage, "unreadable", "config.json of %s cannot be read", dir).Wrap(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return model.Profile{}, problem.New(problem.ExitUsage, "unreadable", "%s cannot be read", dir).Wrap(err)
	}
	sizes := map[string]int64{}
	for _, e := range entries {
		if st, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && st.Mode().IsRegular() { // Stat: the hub's cache is symlinks
			sizes[e.Name()] = st.Size()
		}
	}
	s := model.Sizes{}
	for _, name := range quantFiles {
		if _, ok := sizes[name]; ok {
			s.QuantConfig, _ = readFile(filepath.Join(dir, name), model.MaxConfigBytes)
			break
		}
	}
	var index []byte
	if _, ok := sizes[indexName]; ok {
		if index, err = readFile(filepath.Join(dir, indexName), maxIndexBytes); err != nil {
			return model.Profile{}, problem.New(problem.ExitUsage, "bad_checkpoint", "%s of %s cannot be read", indexName, dir).Wrap(err)
		}
	}
	w, err := chooseWeights(sizes, index)
	if err != nil {
		return model.Profile{}, problem.New(problem.ExitUsage, "bad_checkpoint", "%s of %s cannot be used", indexName, dir).Wrap(err)
	}
	for _, name := range w.names {
		size, there := sizes[name]
		if !there {
			return model.Profile{}, problem.New(problem.ExitUsage, "bad_checkpoint", "%s lacks %s", dir, name).Because("%s names it", indexName).
				Try("the download is not complete; get the rest", "")
		}
		s.Files = append(s.Files, model.File{Name: name, Bytes: size})
		s.WeightsBytes += size
		if w.pickle {
			continue
		}
		t, err := readLocalHeader(filepath.Join(dir, name), size)
		if err != nil {
			p := problem.New(problem.ExitUsage, "bad_checkpoint", "%s of %s cannot be used", name, dir)
			if isPointer(filepath.Join(dir, name)) {
				return model.Profile{}, p.Because("it is a pointer of Git LFS, and the file itself was not fetched").Try("fetch the files, in that directory", "git lfs pull")
			}
			return model.Profile{}, p.Wrap(err)
		}
		s.Tensors = append(s.Tensors, t...)
	}
	p, err := finish(config, s, dir)
	if err != nil {
		return p, err
	}
	p.ID, p.Local, p.PickleOnly = dir, true, w.pickle
	if len(w.names) == 0 {
		p.Unknowns = append(p.Unknowns, "weights: the directory has no weight files")
	}
	p.Sources = append(p.Sources, catalog.Fact{ID: "model/local/config", Statement: "config.json and the headers of the weight files", Source: filepath.Join(dir, "config.json"), Standing: catalog.Derived})
	return p, nil
}

// openFile opens what is a file: to open a pipe waits for somebody who writes to it.
func openFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file")
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, errors.New("it is larger than a file of its kind can be")
	}
	return b, nil
}

func readLocalHeader(path string, size int64) ([]model.Tensor, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	first := make([]byte, 8)
	n, err := io.ReadFull(f, first)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	length, err := model.HeaderLength(first[:n], size)
	if err != nil {
		return nil, err
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(f, header); err != nil {
		return nil, &model.HeaderError{Why: "the file is cut off in it"}
	}
	return model.ParseHeader(header, size)
}

// indexName maps tensors to the files an engine loads; whatever it does not name is another copy.
const indexName = "model.safetensors.index.json"

// quantFiles are what quantisers leave beside config.json.
var quantFiles = []string{"hf_quant_config.json", "quantize_config.json", "quant_config.json"}

// weights are the files an engine loads.
type weights struct {
	names  []string
	pickle bool
	total  int64 // metadata.total_size of the index; 0 when it has none
}

// chooseWeights picks, of the top-level files, those an engine loads, as vLLM's default loader does: the
// safetensors that the index names, else all safetensors but Mistral's consolidated copy, else pickles.
func chooseWeights(sizes map[string]int64, index []byte) (weights, error) {
	if index != nil {
		var doc struct {
			Metadata struct {
				TotalSize json.Number `json:"total_size"`
			} `json:"metadata"`
			WeightMap map[string]string `json:"weight_map"`
		}
		if err := json.Unmarshal(index, &doc); err != nil {
			return weights{}, errors.New("it is not JSON with a weight_map")
		}
		seen := map[string]bool{}
		w := weights{}
		for _, f := range doc.WeightMap {
			if !filepath.IsLocal(f) || !strings.HasSuffix(f, ".safetensors") {
				return weights{}, errors.New("it names a file that is no safetensors file of this repository")
			}
			if !seen[f] {
				seen[f] = true
				w.names = append(w.names, f)
			}
			if len(w.names) > maxShards {
				return weights{}, errors.New("it names more files than any model has")
			}
		}
		sort.Strings(w.names)
		if f, err := doc.Metadata.TotalSize.Float64(); err == nil && f > 0 && f < 1e15 {
			w.total = int64(f)
		}
		if len(w.names) > 0 {
			return w, nil
		}
	}
	var tensors, consolidated, pickles []string
	for name := range sizes {
		switch {
		case strings.ContainsAny(name, "/\\"):
		case strings.HasPrefix(name, "consolidated") && strings.HasSuffix(name, ".safetensors"):
			consolidated = append(consolidated, name)
		case strings.HasSuffix(name, ".safetensors") && !strings.HasPrefix(name, "adapter_"):
			tensors = append(tensors, name)
		case strings.HasPrefix(name, "pytorch_model") && strings.HasSuffix(name, ".bin"), strings.HasSuffix(name, ".pt") && !strings.HasPrefix(name, "optimizer") && !strings.HasPrefix(name, "scheduler") && !strings.HasPrefix(name, "training_args"):
			pickles = append(pickles, name)
		}
	}
	w := weights{names: tensors}
	if len(w.names) == 0 {
		w.names = consolidated
	}
	if len(w.names) == 0 {
		w.names, w.pickle = pickles, len(pickles) > 0
	}
	if len(w.names) > maxShards {
		return weights{}, errors.New("there are more weight files than any model has")
	}
	sort.Strings(w.names)
	return w, nil
}

// isPointer reports what a clone holds in place of a large file when Git LFS did not run.
func isPointer(path string) bool {
	const head = "version https://git-lfs.github.com/spec/"
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, len(head))
	_, err = io.ReadFull(f, b)
	return err == nil && string(b) == head
}
