package pyindex

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"justright/sim/indexsim"
)

func noSleep(context.Context, time.Duration) error { return nil }

// serve starts an index and a client of it.
func serve(t *testing.T, x *indexsim.Index) *Client {
	t.Helper()
	srv := httptest.NewServer(x)
	t.Cleanup(srv.Close)
	c, err := New(Options{Indexes: []string{srv.URL + "/simple"}, Sleep: noSleep})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const wheelName = "demo_pkg-1.2.3-2-cp38-abi3-manylinux_2_28_x86_64.whl"

func wheelFiles() map[string]string {
	return map[string]string{
		"demo_pkg/__init__.py":              "x = 1\n",
		"demo_pkg/big.py":                   strings.Repeat("# a line that packs well\n", 40_000),
		"demo_pkg-1.2.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: demo-pkg\nVersion: 1.2.3\nRequires-Python: >=3.9\nRequires-Dist: torch==2.14.0\nRequires-Dist: x[y]>=1; extra == 'z'\n\nName: not this\n",
		"demo_pkg-1.2.3.dist-info/WHEEL":    "Wheel-Version: 1.0\nTag: cp38-abi3-linux_x86_64\n",
	}
}

func TestProjectPages(t *testing.T) {
	day := time.Date(2026, 11, 2, 10, 13, 18, 0, time.UTC)
	for _, htmlOnly := range []bool{false, true} {
		x := indexsim.New(indexsim.Faults{HTMLOnly: htmlOnly, FailFirst: 1})
		x.Add("Demo.Pkg", indexsim.File{Name: wheelName, Content: indexsim.Wheel(wheelFiles()), RequiresPython: ">=3.9,<4", Uploaded: day},
			indexsim.File{Name: "demo_pkg-1.2.2.tar.gz", Content: []byte("x"), Yanked: true})
		p, err := serve(t, x).Project(t.Context(), "demo_pkg")
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != "demo-pkg" || len(p.Files) != 2 {
			t.Fatalf("html %v: %+v", htmlOnly, p)
		}
		w, s := p.Files[0], p.Files[1]
		if w.Name != wheelName || w.RequiresPython != ">=3.9,<4" || len(w.SHA256) != 64 || w.Yanked || !s.Yanked {
			t.Errorf("html %v: %+v %+v", htmlOnly, w, s)
		}
		if !htmlOnly && (!w.Uploaded.Equal(day) || w.Size == 0) {
			t.Errorf("JSON page: %+v", w)
		}
	}
	if _, err := serve(t, indexsim.New(indexsim.Faults{})).Project(t.Context(), "nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("missing project: %v", err)
	}
}

func TestReadInsideWheelFetchesLittle(t *testing.T) {
	x := indexsim.New(indexsim.Faults{})
	files := wheelFiles()
	files["demo_pkg/_C.abi3.so"] = noise(3 << 20)
	content := indexsim.Wheel(files)
	x.Add("demo-pkg", indexsim.File{Name: wheelName, Content: content})
	c := serve(t, x)
	p, err := c.Project(t.Context(), "demo-pkg")
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Metadata(t.Context(), p.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	torch, ok := m.Requirement("Torch")
	if _, extra := m.Requirement("x"); !ok || extra || torch.Specifier.String() != "==2.14.0" || m.RequiresPython != ">=3.9" {
		t.Errorf("metadata %+v", m)
	}
	w, err := c.OpenWheel(t.Context(), p.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	if b, err := w.Read(t.Context(), "demo_pkg/big.py", 0); err != nil || string(b) != files["demo_pkg/big.py"] {
		t.Errorf("big.py: %d bytes, %v", len(b), err)
	}
	if _, err := w.Read(t.Context(), "demo_pkg/big.py", 1000); err == nil {
		t.Error("a file over the limit was read")
	}
	if _, err := w.Read(t.Context(), "demo_pkg/none.py", 0); err == nil {
		t.Error("a missing file was read")
	}
	if w.Fetched()*10 > int64(len(content)) {
		t.Errorf("fetched %d of %d bytes", w.Fetched(), len(content))
	}
}

// noise is text that does not pack.
func noise(n int) string {
	b := make([]byte, n)
	s := uint64(88172645463325252)
	for i := range b {
		s ^= s << 13
		s ^= s >> 7
		s ^= s << 17
		b[i] = byte(s)
	}
	return string(b)
}

func TestMetadataBesideTheFile(t *testing.T) {
	x := indexsim.New(indexsim.Faults{})
	x.Add("demo-pkg", indexsim.File{Name: wheelName, Content: []byte("no zip at all"), Metadata: []byte("Name: demo\nVersion: 9\n\n")})
	c := serve(t, x)
	p, _ := c.Project(t.Context(), "demo-pkg")
	if m, err := c.Metadata(t.Context(), p.Files[0]); err != nil || m.Version != "9" {
		t.Errorf("%+v, %v", m, err)
	}
	p.Files[0].MetadataSHA256 = strings.Repeat("0", 64)
	if _, err := c.Metadata(t.Context(), p.Files[0]); err == nil || !strings.Contains(err.Error(), "hash") {
		t.Errorf("metadata of another hash: %v", err)
	}
}

// TestHostileWheels holds every lie to an error, in little memory and time.
func TestHostileWheels(t *testing.T) {
	good := indexsim.Wheel(wheelFiles())
	patch := func(at func(b []byte) int, off int, v uint32) []byte {
		b := append([]byte(nil), good...)
		binary.LittleEndian.PutUint32(b[at(b)+off:], v)
		return b
	}
	eocd := func(b []byte) int { return strings.LastIndex(string(b), "PK\x05\x06") }
	central := func(b []byte) int { return strings.Index(string(b), "PK\x01\x02") }
	for _, c := range []struct {
		name   string
		file   indexsim.File
		faults indexsim.Faults
		read   bool // the lie shows only when the file is read
		want   string
	}{
		{name: "no zip", file: indexsim.File{Content: []byte(strings.Repeat("no zip ", 100))}, want: "not a zip"},
		{name: "empty", file: indexsim.File{Content: []byte{}}, want: ""},
		{name: "cut off", file: indexsim.File{Content: good[:len(good)-30]}, want: "not a zip"},
		{name: "directory of 3 GB", file: indexsim.File{Content: patch(eocd, 12, 3<<30)}, want: "ends at byte"},
		{name: "directory beyond the end", file: indexsim.File{Content: patch(eocd, 16, 1<<31)}, want: "ends at byte"},
		{name: "64-bit marker", file: indexsim.File{Content: patch(eocd, 16, 0xffffffff)}, want: "64-bit"},
		{name: "file of 4 GB unpacked", file: indexsim.File{Content: patch(central, 24, 0xfffffff0)}, read: true, want: "claims"},
		{name: "file of 4 GB packed", file: indexsim.File{Content: patch(central, 20, 0xfffffff0)}, read: true, want: "claims"},
		{name: "file that unpacks to more", file: indexsim.File{Content: patch(central, 24, 1)}, read: true, want: "other than"},
		{name: "wrong checksum", file: indexsim.File{Content: patch(central, 16, 1)}, read: true, want: "checksum"},
		{name: "file outside the archive", file: indexsim.File{Content: patch(central, 42, 1<<31)}, read: true, want: ""},
		{name: "page says 10 GB", file: indexsim.File{Content: good, ClaimSize: 10 << 30}, want: "the index says"},
		{name: "page says one byte", file: indexsim.File{Content: good, ClaimSize: 1}, want: "the index says"},
		{name: "no ranges, page lies", file: indexsim.File{Content: good, ClaimSize: 1}, faults: indexsim.Faults{NoRanges: true}, want: "the index says"},
		{name: "another range", file: indexsim.File{Content: good}, faults: indexsim.Faults{WrongRange: true}, want: "asked for"},
		{name: "cut connection", file: indexsim.File{Content: good}, faults: indexsim.Faults{CutAfter: 50}, want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.file.Name = wheelName
			x := indexsim.New(c.faults)
			x.Add("demo-pkg", c.file)
			client := serve(t, x)
			p, err := client.Project(t.Context(), "demo-pkg")
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			w, err := client.OpenWheel(t.Context(), p.Files[0])
			if c.read {
				if err != nil {
					t.Fatalf("opening: %v", err)
				}
				_, err = w.Read(t.Context(), w.Names()[0], 0)
			}
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), wheelName) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if grew := after.TotalAlloc - before.TotalAlloc; grew > 64<<20 || time.Since(start) > 5*time.Second {
				t.Errorf("took %d bytes and %s", grew, time.Since(start))
			}
		})
	}
}

func TestServerWithoutRanges(t *testing.T) {
	x := indexsim.New(indexsim.Faults{NoRanges: true})
	x.Add("demo-pkg", indexsim.File{Name: wheelName, Content: indexsim.Wheel(wheelFiles())})
	c := serve(t, x)
	p, _ := c.Project(t.Context(), "demo-pkg")
	if m, err := c.Metadata(t.Context(), p.Files[0]); err != nil || m.Name != "demo-pkg" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestSdistFiles(t *testing.T) {
	x := indexsim.New(indexsim.Faults{})
	x.Add("demo-pkg", indexsim.File{Name: "demo_pkg-1.0.tar.gz", Content: indexsim.Sdist("demo_pkg-1.0",
		map[string]string{".buildkite/release.yaml": "cuda: 13", "setup.py": "x", "zz": noise(4 << 20)})})
	c := serve(t, x)
	p, _ := c.Project(t.Context(), "demo-pkg")
	got, err := c.SdistFiles(t.Context(), p.Files[0], ".buildkite/release.yaml", "setup.py")
	if err != nil || string(got[".buildkite/release.yaml"]) != "cuda: 13" || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := c.SdistFiles(t.Context(), p.Files[0], "missing"); err != nil || len(got) != 0 {
		t.Errorf("missing file: %q, %v", got, err)
	}
}

func TestParseName(t *testing.T) {
	for _, c := range []struct{ name, version, build string }{
		{"vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl", "0.33.0", ""},
		{"vllm-0.20.0+cu129-cp38-abi3-manylinux_2_31_x86_64.whl", "0.20.0+cu129", ""},
		{"vllm-0.23.0-2-cp38-abi3-manylinux_2_28_x86_64.whl", "0.23.0", "2"},
		{"vllm-0.6.3.post1.tar.gz", "0.6.3.post1", ""},
	} {
		d, err := ParseName("vllm", c.name)
		if err != nil || d.Version.String() != c.version || d.Build != c.build || d.Project != "vllm" {
			t.Errorf("%s: %+v, %v", c.name, d, err)
		}
	}
	for _, bad := range []string{"", "vllm.whl", "vllm-1.0-py3.whl", "vllm-x-py3-none-any.whl", "other-1.0.tar.gz", "vllm-.tar.gz"} {
		if d, err := ParseName("vllm", bad); err == nil {
			t.Errorf("%q: %+v, want an error", bad, d)
		}
	}
	d, _ := ParseName("vllm", "vllm-0.33.0-cp38-abi3-manylinux_2_28_x86_64.whl")
	if g, ok := d.Linux("x86_64"); !ok || g.String() != "2.28" || !d.ForPython(12) || d.ForPython(7) {
		t.Errorf("glibc %s %v", g, ok)
	}
	if _, ok := d.Linux("aarch64"); ok {
		t.Error("an x86_64 wheel on aarch64")
	}
}

func TestConfigured(t *testing.T) {
	files := map[string]string{
		"/home/u/.config/pip/pip.conf": "[global]\nindex-url = https://user.example/simple\nextra-index-url =\n  https://a.example/\n  https://b.example/\n",
		"/etc/pip.conf":                "[global]\nindex-url: https://etc.example/simple\n",
	}
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "https://user.example/simple https://a.example/ https://b.example/"},
		{map[string]string{"PIP_INDEX_URL": "https://pip.example/"}, "https://pip.example/ https://a.example/ https://b.example/"},
		{map[string]string{"PIP_INDEX_URL": "https://pip.example/", "UV_INDEX_URL": "https://uv.example/"}, "https://uv.example/ https://a.example/ https://b.example/"},
		{map[string]string{"PIP_CONFIG_FILE": "/dev/null", "UV_INDEX": "mine=https://c.example/?a=b"}, DefaultIndex + " https://c.example/?a=b"},
	} {
		got := Configured(func(k string) string { return c.env[k] }, func(p string) ([]byte, bool) { b, ok := files[p]; return []byte(b), ok }, "/home/u")
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %v, want %s", c.env, got, c.want)
		}
	}
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	base, _ := url.Parse("https://user:secret@index.example/simple/p/")
	own, err1 := newFile(base, "a.whl", "../../files/a.whl")
	other, err2 := newFile(base, "a.whl", "https://files.example/a.whl")
	if err1 != nil || err2 != nil || !strings.Contains(own.URL, "secret") || strings.Contains(other.URL, "secret") {
		t.Errorf("%s %s %v %v", own.URL, other.URL, err1, err2)
	}
	for _, bad := range []string{"file:///etc/passwd", "ftp://x/y", "\x00"} {
		if f, err := newFile(base, "a.whl", bad); err == nil {
			t.Errorf("address %q became %s", bad, f.URL)
		}
	}
}

func FuzzParsePage(f *testing.F) {
	f.Add("application/json", []byte(`{"files":[{"filename":"a-1.whl","url":"x","size":-1,"yanked":"why"}]}`))
	f.Add("text/html", []byte(`<base href="/x/"><a href='y' data-requires-python="&gt;=3">a-1.whl</a>`))
	base, _ := url.Parse("https://index.example/simple/p/")
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		files, err := parsePage(base, contentType, body)
		if err != nil {
			return
		}
		for _, x := range files {
			if x.Size < 0 || x.Name == "" || !strings.HasPrefix(x.URL, "http") {
				t.Fatalf("file %+v", x)
			}
			_, _ = ParseName("p", x.Name)
		}
	})
}

// FuzzWheel opens arbitrary bytes as a wheel, held in memory.
func FuzzWheel(f *testing.F) {
	good := indexsim.Wheel(map[string]string{"a-1.dist-info/METADATA": "Name: a\nVersion: 1\n\n", "a.py": strings.Repeat("x", 500)})
	f.Add(good)
	f.Add(good[:len(good)-10])
	f.Fuzz(func(t *testing.T, b []byte) {
		off, size, err := findDirectory(b, int64(len(b)))
		if err == nil && (off < 0 || size < 0 || off+size > int64(len(b))) {
			t.Fatalf("directory at %d of %d bytes in %d", off, size, len(b))
		}
		w, err := openBytes(b)
		if err != nil {
			return
		}
		for _, n := range w.Names() {
			got, err := w.Read(context.Background(), n, 1<<16)
			if err == nil && len(got) > 1<<16 {
				t.Fatalf("%q: %d bytes", n, len(got))
			}
		}
		_, _ = w.Metadata(context.Background())
	})
}

func openBytes(b []byte) (*Wheel, error) {
	r := &remote{size: int64(len(b)), spans: []fetchedSpan{{0, b}}}
	return openArchive(&Wheel{file: File{Name: "fuzz.whl"}, r: r})
}

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte("Name: a\nVersion: 1\nRequires-Dist: torch (>=1.0) ; extra == 'x'\n\nbody"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMetadata(b)
		if err == nil {
			_, _ = m.Requirement("torch")
			_ = fmt.Sprint(m)
		}
	})
}
