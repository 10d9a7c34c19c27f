package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"justright/internal/httpclient"
	"justright/internal/kubeobject"
	"justright/internal/provider"
	"justright/launch"
)

// maxText bounds one line as it is handed on.
const maxText = 64 << 10

// stopped carries the error with which the caller's function ended the stream.
type stopped struct{ err error }

func (s stopped) Error() string { return s.err.Error() }

// Logs follows what a machine's pods print, one after the other, and what the cluster says about them, exactly once and in
// order, over any number of cut streams. It returns nil when the machine is gone, f's own error when f fails, and an
// *provider.Error around ctx.Err() when the context ends.
func (p *Provider) Logs(ctx context.Context, id, after string, f func(launch.LogLine) error) error {
	fo := &follower{p: p, id: id, at: parseMark(after), emit: f, words: words{p: p, seen: map[string]bool{}}}
	fo.words.since = fo.at.told
	for {
		err := fo.round(ctx)
		var stop stopped
		switch {
		case errors.As(err, &stop):
			return stop.err
		case errors.Is(err, errGone):
			return nil
		case ctx.Err() != nil:
			return fail("logs", ctx.Err())
		case err != nil && provider.KindOf(err) != launch.FailTemporary && provider.KindOf(err) != launch.FailNotFound:
			return unproven(err)
		}
		if p.cfg.Sleep(ctx, p.cfg.Poll) != nil {
			return fail("logs", ctx.Err())
		}
	}
}

var errGone = errors.New("gone")

// follower is one Logs call.
type follower struct {
	p     *Provider
	id    string
	at    mark
	emit  func(launch.LogLine) error
	words words
	done  []string // pods that were read to their end
	heard []string // pods beside that failed, of which the last words were told
}

// round looks once at the machine, tells what the cluster says, and reads the pod that speaks until its stream ends. A log that is
// taken up again is read first: whoever saves an ended machine's last words does not wait long.
func (fo *follower) round(ctx context.Context) error {
	p := fo.p
	pods, err := p.pods(ctx, "logs", kubeobject.MachineLabel+"="+fo.id)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		in, err := p.Get(ctx, fo.id)
		if err != nil {
			return err
		}
		if in.Status == launch.Gone {
			return errGone
		}
	}
	for _, pod := range fo.unread(pods) {
		if fo.at.at.IsZero() {
			if err := fo.tell(ctx, pods); err != nil {
				return err
			}
		}
		st := statusOfContainer(pod)
		if st == nil || st.State.Running == nil && st.State.Terminated == nil {
			break // nothing was printed yet
		}
		if err := fo.read(ctx, pod.Name, st.State.Terminated == nil, pods); err != nil {
			return err
		}
		if st.State.Terminated != nil {
			fo.done = append(fo.done, pod.Name)
		}
	}
	return fo.tell(ctx, pods)
}

// unread are the pods from the one of the mark on, without those that were read to their end.
func (fo *follower) unread(pods []corev1.Pod) []corev1.Pod {
	i := slices.IndexFunc(pods, func(x corev1.Pod) bool { return x.Name == fo.at.pod })
	out := slices.Clone(pods[max(0, i):])
	return slices.DeleteFunc(out, func(x corev1.Pod) bool { return slices.Contains(fo.done, x.Name) })
}

// tell hands on what the cluster has said since.
func (fo *follower) tell(ctx context.Context, pods []corev1.Pod) error {
	if err := fo.fallen(ctx, pods); err != nil {
		return err
	}
	news, err := fo.words.news(ctx, fo.id, pods)
	if err != nil {
		return err
	}
	for _, n := range news {
		next := fo.at.said(n.key, n.at)
		if err := fo.emit(launch.LogLine{ID: next.String(), At: n.at, Source: "system", Text: n.text}); err != nil {
			return stopped{err}
		}
		fo.at = next
	}
	return nil
}

// read reads a pod's log from the mark. While it follows it looks beside for the cluster's words, and whether the machine is gone.
func (fo *follower) read(ctx context.Context, pod string, follow bool, pods []corev1.Pod) error {
	sctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := url.Values{"container": {kubeobject.Container}, "timestamps": {"true"}}
	if follow {
		q.Set("follow", "true")
	}
	resumed := pod == fo.at.pod && !fo.at.at.IsZero()
	if resumed {
		q.Set("sinceTime", fo.at.at.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	r := httpclient.Request{URL: fo.p.c.base + fo.p.path(coreV1, "pods", pod, "log") + "?" + q.Encode(), Header: http.Header{"Accept": {"*/*"}}}
	res, err := fo.p.c.http.Stream(sctx, r) //nolint:bodyclose // closed below, once the answer is known to be one
	if err != nil {
		var e *httpclient.Error
		if errors.As(err, &e) && e.Status == http.StatusBadRequest {
			return nil // "container is waiting to start", "not found in pod": the next look knows more
		}
		return fail("logs", err)
	}
	defer res.Body.Close()
	lines := make(chan []byte)
	ended := make(chan error, 1)
	go func() {
		err := scan(sctx, res.Body, lines)
		ended <- err
		close(lines)
	}()
	tick := time.NewTicker(fo.p.cfg.Poll)
	defer tick.Stop()
	skip := aligner{want: fo.at, pending: resumed}
	for {
		select {
		case raw, ok := <-lines:
			if !ok {
				if err := <-ended; err != nil && ctx.Err() == nil {
					return &provider.Error{Op: "logs", Kind: launch.FailTemporary, Err: err}
				}
				return ctx.Err()
			}
			if err := fo.line(pod, raw, &skip); err != nil {
				return err
			}
		case <-tick.C:
			if !follow {
				continue
			}
			if fresh, err := fo.p.pods(sctx, "logs", kubeobject.MachineLabel+"="+fo.id); err == nil {
				pods = fresh
			}
			if err := fo.tell(sctx, pods); err != nil {
				var stop stopped
				if errors.As(err, &stop) {
					return err
				} // else: the log is worth more than what is said about it
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// line hands on one line, which begins with its time.
func (fo *follower) line(pod string, raw []byte, skip *aligner) error {
	stamp, text, _ := strings.Cut(string(raw), " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		at, text = fo.at.at, string(raw) // the kubelet's own word, such as that the log file is gone
	}
	deliver, gap := skip.next(at)
	if gap {
		lost := fo.at.said("gap", time.Time{})
		if err := fo.emit(launch.LogLine{ID: lost.String(), At: fo.at.at, Source: "system",
			Text: "justright: gap: lines between here and the next one may be lost, the node no longer has the last one read"}); err != nil {
			return stopped{err}
		}
	}
	if !deliver {
		return nil
	}
	next := fo.at.line(pod, at)
	text = strings.TrimRight(text, "\r\n")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + fmt.Sprintf("… [%d bytes cut]", len(text)-maxText)
	}
	if err := fo.emit(launch.LogLine{ID: next.String(), At: at, Source: "container", Text: text}); err != nil {
		return stopped{err}
	}
	fo.at = next // only now: a line whose delivery failed is asked for again
	return nil
}

// aligner finds the place to go on in a log that was resumed at a whole second.
type aligner struct {
	want    mark
	pending bool
	seen    int
}

// next says whether the line of a time is new, and whether lines may be missing before it.
func (a *aligner) next(at time.Time) (deliver, gap bool) {
	if !a.pending {
		return true, false
	}
	switch d := at.Compare(a.want.at); {
	case d < 0:
		return false, false
	case d == 0 && a.seen < a.want.count:
		a.seen++
		return false, false
	case d == 0:
		a.pending = false
		return true, false
	default:
		a.pending = false
		return true, a.seen == 0
	}
}

// scan sends the lines of a stream. A line that was cut off by the end of the stream is left out: it comes whole the next time.
func scan(ctx context.Context, r io.Reader, out chan<- []byte) error {
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		var line []byte
		for {
			part, err := b.ReadSlice('\n')
			if room := 4 << 20; len(line) < room {
				line = append(line, part...)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if errors.Is(err, io.EOF) {
				if len(line) > 0 { // an ended container's last line has no end
					select {
					case out <- bytes.Clone(line):
					case <-ctx.Done():
					}
				}
				return nil
			}
			if err != nil {
				return err
			}
			break
		}
		select {
		case out <- bytes.TrimRight(line, "\n"):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
