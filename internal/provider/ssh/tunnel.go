package ssh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"justright/internal/filelock"
	"justright/launch"
)

// tunnel is the loopback port of this machine that leads to an instance's engine. Its file is there as long as the tunnel is
// wanted; the process that keeps it holds a lock beside it.
type tunnel struct {
	ID     string `json:"id"`
	Target string `json:"target"`
	Port   int    `json:"port"`      // here
	There  int    `json:"host_port"` // on the host
}

func (p *Provider) tunnelFile(id, kind string) string { return filepath.Join(p.tunnels(), id+kind) }

func (p *Provider) readTunnel(id string) (t tunnel, err error) {
	raw, err := os.ReadFile(p.tunnelFile(id, ".json"))
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(raw, &t)
}

// tunnelPort is the port of this machine that leads to an instance, with a process that keeps it so; 0 when there is none. begin
// makes one where there was none.
func (p *Provider) tunnelPort(id string, there int, begin bool) int {
	if p.c.Keep == nil || !isID(id) {
		return 0
	}
	t, err := p.readTunnel(id)
	switch {
	case err == nil:
	case !begin:
		return 0
	default:
		if t, err = p.makeTunnel(id, there); err != nil {
			return 0
		}
	}
	if release, err := filelock.Try(p.tunnelFile(id, ".lock")); err == nil { // nobody keeps it
		release()
		_ = p.c.Keep(id) // the next look tries again
	}
	return t.Port
}

// makeTunnel chooses a port and writes it down. Of two at one instant the first one's counts.
func (p *Provider) makeTunnel(id string, there int) (tunnel, error) {
	unlock, err := filelock.Wait(filepath.Join(p.tunnels(), "ports.lock"))
	if err != nil {
		return tunnel{}, err
	}
	defer unlock()
	if t, err := p.readTunnel(id); err == nil {
		return t, nil
	}
	taken := map[int]bool{}
	all, _ := filepath.Glob(filepath.Join(p.tunnels(), "s*.json"))
	for _, f := range all {
		if t, err := p.readTunnel(strings.TrimSuffix(filepath.Base(f), ".json")); err == nil {
			taken[t.Port] = true
		}
	}
	for range 50 {
		var lc net.ListenConfig
		l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return tunnel{}, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if taken[port] {
			continue
		}
		t := tunnel{ID: id, Target: p.Name(), Port: port, There: there}
		raw, err := json.Marshal(t)
		if err != nil {
			return t, err
		}
		tmp := p.tunnelFile(id, ".tmp")
		if err := os.WriteFile(tmp, append(raw, '\n'), 0o600); err != nil {
			return t, err
		}
		return t, os.Rename(tmp, p.tunnelFile(id, ".json"))
	}
	return tunnel{}, errors.New("no free port")
}

// dropTunnel ends a tunnel: its keeper sees that the file is gone.
func (p *Provider) dropTunnel(id string) {
	for _, kind := range []string{".json", ".lock", ".log"} {
		_ = os.Remove(p.tunnelFile(id, kind))
	}
}

// KeepTunnel keeps an instance's tunnel until the instance is gone, the tunnel is not wanted any more, or ctx ends. At once nil when
// another process keeps it. What hinders it stands in the tunnel's log.
func (p *Provider) KeepTunnel(ctx context.Context, id string) error {
	release, err := filelock.Try(p.tunnelFile(id, ".lock"))
	if err != nil {
		return nil //nolint:nilerr // somebody keeps it
	}
	defer release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(p.tunnelFile(id, ".json")); errors.Is(err, os.ErrNotExist) {
				cancel()
				return
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = time.Second, 30*time.Second
	last := ""
	for {
		t, err := p.readTunnel(id)
		if err != nil {
			return nil //nolint:nilerr // it is not wanted any more
		}
		began := time.Now() //nolint:forbidigo // how long a real connection stood
		gone, err := p.tunnelOnce(ctx, t)
		switch {
		case gone:
			p.dropTunnel(id)
			return nil
		case ctx.Err() != nil:
			return nil
		case time.Since(began) > time.Minute: //nolint:forbidigo // as above
			wait.Reset()
		}
		if text := fmt.Sprint(err); text != last {
			last = text
			p.note(id, text)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait.NextBackOff()):
		}
	}
}

// note writes what hinders a tunnel where a person may look.
func (p *Provider) note(id, text string) {
	f, err := os.OpenFile(p.tunnelFile(id, ".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = fmt.Fprintf(f, "%s %s\n", p.c.Now().UTC().Format(time.RFC3339), text) // it is told as far as it can be
}

// tunnelOnce is one connection with the port forwarded. It has a connection of its own: a shared one would end when its first user
// does. What runs at the far end ends with the instance, and its ticks show that the far end is there.
func (p *Provider) tunnelOnce(ctx context.Context, t tunnel) (gone bool, err error) {
	forward := fmt.Sprintf("127.0.0.1:%d:127.0.0.1:%d", t.Port, t.There)
	s, err := p.begin(ctx, "tunnel", "watch", map[string]string{"ID": t.ID}, "", "-o", "ControlPath=none", "-L", forward)
	if err != nil {
		return false, err
	}
	// A port that is taken does not end the client, since others of the user's own may be.
	said := make([]byte, 4<<10)
	if n, _ := s.errors.ReadAt(said, 0); strings.Contains(string(said[:n]), "port: "+strconv.Itoa(t.Port)) {
		s.close()
		return false, fail("tunnel", launch.FailConflict, fmt.Errorf("port %d of this machine is taken", t.Port))
	}
	var a answer
	for {
		l, err := s.line()
		switch {
		case errors.Is(err, io.EOF):
			s.close()
			return false, errors.New("the host stopped telling")
		case err != nil:
			return false, err
		case l == "gone":
			s.close()
			return knows(a.host, t.ID), nil
		default:
			a.take(l)
		}
	}
}
