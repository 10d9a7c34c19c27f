package kubernetes_test

import (
	"testing"

	"justright/internal/provider/kubernetes"
)

// A pull that fails for a reason of its own is told at once; one that a registry or a line may yet allow is waited for.
func TestLastingPulls(t *testing.T) {
	for message, want := range map[string]bool{
		`Failed to pull image "x:1": rpc error: code = NotFound desc = failed to pull and unpack image: x:1: not found`:                         true,
		`Failed to pull image "x:1": pull access denied, repository does not exist or may require authorization`:                                true,
		`Failed to pull image "x:1": failed to authorize: failed to fetch anonymous token: 401 Unauthorized`:                                    true,
		`Failed to pull image "x:1": write /var/lib/containerd/x: no space left on device`:                                                      true,
		`Failed to pull image "x:1": 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull limit`: true,
		`Failed to pull image "x:1": failed to do request: Head "https://r.example/v2/": dial tcp: i/o timeout`:                                 false,
		`Failed to pull image "x:1": failed to do request: Head "https://r.example/v2/": dial tcp: lookup r.example: Temporary failure`:         false,
		`Failed to pull image "x:1": unexpected status from HEAD request to https://r.example/v2/x/manifests/1: 503 Service Unavailable`:        false,
	} {
		if got := kubernetes.Lasting(message); got != want {
			t.Errorf("%s: lasting %v, want %v", message, got, want)
		}
	}
}
