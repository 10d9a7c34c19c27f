package inpod

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// runpodctl plays the copy that every pod has: it can stop and remove its own pod, in the old grammar and the new.
func (c *Call) runpodctl(ctx context.Context) int {
	a := c.Args
	if len(a) < 3 {
		c.err("Error: unknown command")
		return 1
	}
	verb, id := a[0]+" "+a[1], a[2]
	method, path, body := "DELETE", "/v2/pods/"+id, ""
	switch verb {
	case "pod delete", "pod remove", "remove pod", "pod terminate":
	case "pod stop", "stop pod":
		method, path, body = "POST", path+"/action", `{"action":"stop"}`
	default:
		c.err("Error: unknown command %q", verb)
		return 1
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Pod.Sim, "/")+path, strings.NewReader(body))
	if err != nil {
		c.err("Error: %v", err)
		return 1
	}
	req.Header.Set("Authorization", "Bearer "+c.Env("RUNPOD_API_KEY"))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "runpod-cli/2.10.0 (linux; amd64)")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.err("Error: %v", err)
		return 1
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		c.err("Error: api answered %s", resp.Status)
		return 1
	}
	c.say("pod %q done", id)
	return 0
}
