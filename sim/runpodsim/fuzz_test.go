package runpodsim_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"justright/sim/runpodsim"
)

// FuzzDecodeArgs: the decoder never panics, and what is quoted for a shell arrives as it was.
func FuzzDecodeArgs(f *testing.F) {
	for _, s := range []string{"", "a b", `{"cmd":["x"]}`, `'`, `"a`, `a\`, "# not a comment", `{"cmd":`, `--x='{"a":1}'`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		runpodsim.DecodeArgs(s)
		if strings.ContainsRune(s, 0) {
			return
		}
		quoted := "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		got := runpodsim.DecodeArgs("run " + quoted)
		if len(got.Cmd) != 2 || got.Cmd[1] != string([]rune(s)) { // bad UTF-8 becomes U+FFFD, byte by byte
			t.Errorf("%q arrived as %q", s, got.Cmd)
		}
	})
}

// FuzzGraphQL: whatever is sent, the answer is JSON with data or errors.
func FuzzGraphQL(f *testing.F) {
	for _, s := range []string{
		`{myself{id pods{id env runtime{ports{ip}}}}}`, `query($i:GpuLowestPriceInput!){gpuTypes{lowestPrice(input:$i){stockStatus}}}`,
		`mutation{podTerminate(input:{podId:"x"})}`, `{a:gpuTypes(input:{id:"NVIDIA L4"}){...F}} fragment F on G{id}`, `{`, `{"\u`, "{#\n", `{x(a:[1,{b:-2e5}])}`,
	} {
		f.Add(s)
	}
	s, _, _ := timeless(f, runpodsim.Options{})
	f.Fuzz(func(t *testing.T, q string) {
		body, err := json.Marshal(map[string]any{"query": q, "variables": map[string]any{"i": map[string]any{"gpuCount": 1}}})
		if err != nil {
			return
		}
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://sim.test/graphql", strings.NewReader(string(body)))
		req.Header.Set("Authorization", "Bearer k")
		req.Header.Set("User-Agent", "fuzz")
		resp, err := s.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var doc map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
			t.Fatalf("%q: %v", q, err)
		}
		if doc["errors"] == nil && doc["data"] == nil {
			t.Errorf("%q: neither data nor errors: %v", q, doc)
		}
	})
}

// FuzzCreate: no body breaks the simulator, and none that it refuses rents anything.
func FuzzCreate(f *testing.F) {
	f.Add(l4 + `}`)
	f.Add(l4 + `,"mounts":{"network":[]},"env":null,"ports":["8000/http","x"]}`)
	f.Add(`[]`)
	f.Add(`{"name":null,"gpu":{"id":{}},"env":{"a":1}}`)
	f.Fuzz(func(t *testing.T, body string) {
		s, _, call := timeless(t, runpodsim.Options{})
		status, doc := call("POST", "/v2/pods", body)
		if n := len(s.Ledger().Pods); (status == http.StatusCreated) != (n == 1) || status < 200 || status > 499 {
			t.Errorf("%d %v with %d pods", status, doc, n)
		}
	})
}
