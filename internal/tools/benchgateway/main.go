// Command benchgateway measures what the gateway adds: the same requests to the same stand-in engine, directly, through Go's plain
// reverse proxy (the floor for a proxy in Go) and through the gateway, in turns in the same run. Client, engine and proxies are
// separate processes on one machine. Compare within a row; another machine, or the same one at another hour, has other figures.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"justright/internal/gateway"
	"justright/internal/httpclient"
)

const (
	key    = "jr-bench-gateway-key"
	model  = "bench/model"
	chunks = 16
	apart  = 40 * time.Millisecond
)

func main() {
	role := flag.String("role", "", "engine, plain or gateway: what this process plays; empty: it measures")
	to := flag.String("to", "", "address of the engine")
	rounds := flag.Int("rounds", 3, "rounds; medians are shown")
	span := flag.Duration("time", 4*time.Second, "of one measurement")
	flag.Parse()
	var err error
	switch *role {
	case "engine":
		err = play(http.HandlerFunc(engine))
	case "plain":
		err = playPlain(*to)
	case "gateway":
		err = playGateway(*to)
	default:
		err = measure(*rounds, *span)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// play serves until stdin ends, and says where.
func play(h http.Handler) error {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return (&http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}).Serve(l)
}

var answer = []byte(`{"id":"x","object":"chat.completion","model":"bench/model","choices":[{"index":0,"message":{"role":"assistant","content":"` + strings.Repeat("word ", 60) +
	`"},"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":60,"total_tokens":100}}`)

// engine streams sixteen pieces, forty milliseconds apart, each with the time it was written, or answers at once.
func engine(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !bytes.Contains(body, []byte(`"stream":true`)) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range chunks {
		if i > 0 {
			time.Sleep(apart)
		}
		_, _ = fmt.Fprintf(w, "data: %d\n\n", time.Now().UnixNano())
		w.(http.Flusher).Flush()
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

func playPlain(to string) error {
	u, err := url.Parse(to)
	if err != nil {
		return err
	}
	return play(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(u) }, FlushInterval: -1, Transport: gateway.NewTransport(),
		ErrorLog: log.New(io.Discard, "", 0)})
}

func playGateway(to string) error {
	fleet := gateway.NewFleet(nil, time.Now)
	fleet.Update([]gateway.Replica{{ID: "a", Launch: "a", Model: model, Served: model, Base: to, Key: httpclient.NewSecret("engine")}})
	return play(gateway.New(gateway.Options{Door: gateway.NewDoor(httpclient.NewSecret(key)), Fleet: fleet, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))
}

// child is one of the other processes.
type child struct {
	cmd *exec.Cmd
	in  io.Closer
	url string
}

func start(args ...string) (child, error) {
	self, err := os.Executable()
	if err != nil {
		return child{}, err
	}
	c := child{cmd: exec.CommandContext(context.Background(), self, args...)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return c, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return c, err
	}
	if err := c.cmd.Start(); err != nil {
		return c, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	c.url = strings.TrimSpace(line)
	return c, err
}

func (c child) end() {
	_ = c.in.Close()
	_ = c.cmd.Wait()
}

// rss is a process's memory in MiB; 0 where the system does not tell.
func (c child) rss() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}

// round is what one measurement of one way found; times in milliseconds.
type round struct {
	first50, first99, chunk50, chunk99, perSecond float64
	broken                                        int
}

// streams keeps n streams going for a while.
func streams(c *http.Client, base string, n int, span time.Duration) round {
	var mu sync.Mutex
	var firsts, lags []float64
	var broken atomic.Int64
	var done atomic.Int64
	end := time.Now().Add(span)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * apart / time.Duration(n)) // not all at one instant
			for time.Now().Before(end) {
				first, lag, err := stream(c, base)
				if err != nil {
					broken.Add(1)
					continue
				}
				done.Add(1)
				mu.Lock()
				firsts = append(firsts, first)
				lags = append(lags, lag...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return round{quantile(firsts, .5), quantile(firsts, .99), quantile(lags, .5), quantile(lags, .99), float64(done.Load()) / span.Seconds(), int(broken.Load())}
}

// stream reads one: when its first piece came, and how long each piece was on its way.
func stream(c *http.Client, base string) (first float64, lags []float64, err error) {
	began := time.Now()
	resp, err := post(c, base, `{"messages":[{"role":"user","content":"`+strings.Repeat("hello ", 40)+`"}],"model":"`+model+`","stream":true}`)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	whole := false
	for lines.Scan() {
		var at int64
		if _, err := fmt.Sscanf(lines.Text(), "data: %d", &at); err == nil {
			now := time.Now()
			if len(lags) == 0 {
				first = ms(now.Sub(began))
			}
			lags = append(lags, ms(now.Sub(time.Unix(0, at))))
		}
		whole = whole || lines.Text() == "data: [DONE]"
	}
	if !whole || len(lags) != chunks {
		return 0, nil, errors.New("broken")
	}
	return first, lags, nil
}

// requests asks as often as n can.
func requests(c *http.Client, base string, n int, span time.Duration) round {
	var mu sync.Mutex
	var took []float64
	var broken atomic.Int64
	end := time.Now().Add(span)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			var mine []float64
			for time.Now().Before(end) {
				began := time.Now()
				resp, err := post(c, base, `{"messages":[{"role":"user","content":"hello"}],"model":"`+model+`"}`)
				if err == nil {
					var b []byte
					b, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusOK || len(b) != len(answer) {
						err = errors.New("broken")
					}
				}
				if err != nil {
					broken.Add(1)
					continue
				}
				mine = append(mine, ms(time.Since(began)))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	return round{quantile(took, .5), quantile(took, .99), 0, 0, float64(len(took)) / span.Seconds(), int(broken.Load())}
}

func post(c *http.Client, base, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, base+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	return c.Do(r)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// kind is one row: so many at once, streams or plain answers.
type kind struct {
	name string
	run  func(c *http.Client, base string, span time.Duration) round
}

func measure(rounds int, span time.Duration) error {
	eng, err := start("-role", "engine")
	if err != nil {
		return err
	}
	defer eng.end()
	plain, err := start("-role", "plain", "-to", eng.url)
	if err != nil {
		return err
	}
	defer plain.end()
	gw, err := start("-role", "gateway", "-to", eng.url)
	if err != nil {
		return err
	}
	defer gw.end()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000, DisableCompression: true}}
	ways := []struct{ name, url string }{{"direct", eng.url}, {"plain", plain.url}, {"gateway", gw.url}}
	load := func() string {
		b, err := os.ReadFile("/proc/loadavg")
		if err != nil {
			return "?"
		}
		one, _, _ := strings.Cut(string(b), " ")
		return one
	}
	fmt.Println("| | way | first byte p50 ms | p99 | piece on its way p50 ms | p99 | a second | broken | load |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, k := range []kind{
		{"1 stream", func(c *http.Client, b string, d time.Duration) round { return streams(c, b, 1, d) }},
		{"50 streams", func(c *http.Client, b string, d time.Duration) round { return streams(c, b, 50, d) }},
		{"500 streams", func(c *http.Client, b string, d time.Duration) round { return streams(c, b, 500, d) }},
		{"answers, 1 at a time", func(c *http.Client, b string, d time.Duration) round { return requests(c, b, 1, d) }},
		{"answers, 32 at a time", func(c *http.Client, b string, d time.Duration) round { return requests(c, b, 32, d) }},
	} {
		all := make([][]round, len(ways))
		loads := make([]string, len(ways))
		for range rounds {
			for i, w := range ways { // in turns: what else this machine does hits all of them
				all[i] = append(all[i], k.run(client, w.url, span))
				loads[i] = load()
			}
		}
		for i, w := range ways {
			r := median(all[i])
			pieces := "| - | - "
			if r.chunk99 > 0 {
				pieces = fmt.Sprintf("| %.2f | %.2f ", r.chunk50, r.chunk99)
			}
			fmt.Printf("| %s | %s | %.2f | %.2f %s| %.0f | %d | %s |\n", k.name, w.name, r.first50, r.first99, pieces, r.perSecond, r.broken, loads[i])
		}
	}
	doc, err := json.Marshal(map[string]float64{"plain_peak_mib": plain.rss(), "gateway_peak_mib": gw.rss()})
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n", doc)
	return nil
}

// median of each figure; broken streams add up.
func median(rs []round) round {
	pick := func(f func(round) float64) float64 {
		var v []float64
		for _, r := range rs {
			v = append(v, f(r))
		}
		return quantile(v, .5)
	}
	out := round{pick(func(r round) float64 { return r.first50 }), pick(func(r round) float64 { return r.first99 }), pick(func(r round) float64 { return r.chunk50 }),
		pick(func(r round) float64 { return r.chunk99 }), pick(func(r round) float64 { return r.perSecond }), 0}
	for _, r := range rs {
		out.broken += r.broken
	}
	return out
}
