package runpodsim_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"justright/sim/runpodsim"
)

// TestGraphQL walks a pod through its life by GraphQL, with the habits of that API: 200 with errors, env as K=V, a comma
// list of ports, title-case stock.
func TestGraphQL(t *testing.T) {
	t.Parallel()
	w := serve(t, runpodsim.Options{DelayScale: runpodsim.NoDelay, Seed: 2})
	ask := func(query string, vars any) (int, map[string]any, string) {
		t.Helper()
		b, err := json.Marshal(map[string]any{"query": query, "variables": vars})
		if err != nil {
			t.Fatal(err)
		}
		status, doc := w.call("POST", "/graphql", string(b))
		data, _ := doc["data"].(map[string]any)
		said := ""
		if e, ok := doc["errors"].([]any); ok {
			said = e[0].(map[string]any)["message"].(string)
		}
		return status, data, said
	}
	_, data, said := ask(`query($in: GpuLowestPriceInput!) { gpuTypes(input: {id: "NVIDIA L4"}) { name: displayName lowestPrice(input: $in) { stockStatus uninterruptablePrice } } }`,
		map[string]any{"in": map[string]any{"gpuCount": 1, "minCudaVersion": "12.9"}})
	if got := pretty(data); said != "" || !strings.Contains(got, `"stockStatus": "High"`) || !strings.Contains(got, `"name": "L4"`) {
		t.Errorf("gpuTypes: %s %s", got, said)
	}
	in := map[string]any{"cloudType": "ALL", "name": "g", "imageName": "runpod/base:1.0.2-ubuntu2404", "gpuTypeId": "NVIDIA L4", "gpuCount": 1, "ports": "8000/http,22/tcp",
		"volumeInGb": 20, "env": []any{map[string]any{"key": "A", "value": "b=c"}}, "dockerArgs": "sleep 10"}
	_, data, said = ask(`mutation M($input: PodFindAndDeployOnDemandInput!) { podFindAndDeployOnDemand(input: $input) { id env ports costPerHr volumeInGb } }`, map[string]any{"input": in})
	if said != "" {
		t.Fatal(said)
	}
	pod := data["podFindAndDeployOnDemand"].(map[string]any)
	if pretty(pod["env"]) != "[\n \"A=b=c\"\n]" || pod["ports"] != "8000/http,22/tcp" || pod["costPerHr"] != 0.43 || pod["volumeInGb"] != 20.0 {
		t.Errorf("pod: %s", pretty(pod))
	}
	id := pod["id"].(string)
	for _, c := range []struct{ query, want string }{
		{`mutation { podStop(input: {podId: "ID"}) { desiredStatus } }`, `"desiredStatus": "EXITED"`},
		{`mutation { podResume(input: {podId: "ID", gpuCount: 1}) { desiredStatus } }`, `"desiredStatus": "RUNNING"`},
		{`{ pod(input: {podId: "ID"}) { nonsense } }`, `Cannot query field "nonsense"`},
		{`{ pod(input: {podId: "none"}) { id } }`, `"pod": null`},
		{`mutation { podTerminate(input: {podId: "ID"}) }`, `"podTerminate": null`},
		{`mutation { podTerminate(input: {podId: "ID"}) }`, "pod not found to terminate"},
		{`mutation { podFindAndDeployOnDemand(input: {gpuTypeId: "NVIDIA A30", imageName: "x"}) { id } }`, "no longer any instances"},
		{`mutation { podFindAndDeployOnDemand(input: {bogus: 1}) { id } }`, `"bogus" is not defined by type`},
		{`{ myself {`, "Syntax Error"},
	} {
		status, data, said := ask(strings.ReplaceAll(c.query, "ID", id), nil)
		if status != http.StatusOK || !strings.Contains(pretty(data)+said, c.want) {
			t.Errorf("%s: %d %s %s, want %s", c.query, status, pretty(data), said, c.want)
		}
	}
	_, data, _ = ask(`mutation { podRentInterruptable(input: {bidPerGpu: 0.2, gpuTypeId: "NVIDIA L4", gpuCount: 1, imageName: "runpod/base:1.0.2-ubuntu2404"}) { id costPerHr podType } }`, nil)
	spot := data["podRentInterruptable"].(map[string]any)
	if spot["costPerHr"] != 0.2 || spot["podType"] != "INTERRUPTABLE" {
		t.Errorf("spot: %v", spot)
	}
	w.await(spot["id"].(string), "start container")
	if !w.sim.Reclaim(spot["id"].(string)) {
		t.Error("a spot pod could not be reclaimed")
	}
	if _, doc := w.call("GET", "/v2/pods/"+spot["id"].(string), ""); doc["status"] != "EXITED" {
		t.Errorf("reclaimed: %v", doc["status"])
	}
}

// TestV1 walks a pod through its life by REST v1: bare arrays, its own envelope of errors, 500 for a lack of stock, empty
// bodies for actions.
func TestV1(t *testing.T) {
	t.Parallel()
	w := serve(t, runpodsim.Options{DelayScale: runpodsim.NoDelay})
	status, doc := w.call("POST", "/v1/pods", `{"imageName":"runpod/base:1.0.2-ubuntu2404","gpuTypeIds":["NVIDIA L4"]}`)
	if status != http.StatusCreated || doc["name"] != "my pod" || doc["volumeInGb"] != 20.0 || doc["containerDiskInGb"] != 50.0 || pretty(doc["ports"]) != "[\n \"8888/http\",\n \"22/tcp\"\n]" {
		t.Fatalf("create with defaults: %d %s", status, pretty(doc))
	}
	id := doc["id"].(string)
	w.await(id, "start container")
	_, _, raw := w.raw("GET", "/v1/pods?desiredStatus=RUNNING", "")
	var list []map[string]any
	if err := json.Unmarshal(raw, &list); err != nil || len(list) != 1 || list[0]["portMappings"] == nil {
		t.Errorf("list: %s", raw)
	}
	if _, _, raw := w.raw("GET", "/v1/pods?name=other", ""); strings.TrimSpace(string(raw)) != "[]" {
		t.Errorf("filtered list: %s", raw)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/v1/pods/" + id + "/stop", "", 200, `"EXITED"`},
		{"POST", "/v1/pods/" + id + "/start", "", 200, `"RUNNING"`},
		{"PATCH", "/v1/pods/" + id, `{"name":"new"}`, 200, `"new"`},
		{"POST", "/v1/pods", `{"gpuTypeIds":["NVIDIA A30","NVIDIA L4"],"imageName":"x"}`, 500, `"error":"create pod: There are no longer any instances`},
		{"POST", "/v1/pods", `{"dockerArgs":"x"}`, 400, "key provided in request body which is not in input schema: 'dockerArgs'"},
		{"GET", "/v1/pods/none", "", 404, `"error":"pod not found"`},
		{"GET", "/v1/pods/" + id + "/logs", "", 404, "not found"},
		{"DELETE", "/v1/pods/" + id, "", 204, ""},
		{"GET", "/v1/pods/" + id, "", 404, "pod not found"},
	} {
		status, _, raw := w.raw(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(string(raw), c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, status, raw, c.status, c.want)
		}
	}
}

// TestBareAgent: Cloudflare turns Python's bare User-Agent away, before anybody looks at the key.
func TestBareAgent(t *testing.T) {
	t.Parallel()
	w := serve(t, runpodsim.Options{})
	for path, body := range map[string]string{"/v2/pods": l4 + "}", "/v1/pods": "{}", "/graphql": `{"query":"{myself{id}}"}`} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", w.url+path, strings.NewReader(body))
		req.Header.Set("User-Agent", "Python-urllib/3.12")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || len(w.sim.Ledger().Pods) != 0 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}
