package kubernetes

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"justright/internal/httpclient"
	"justright/internal/kubeobject"
	"justright/launch"
)

// Copies is how many pods a machine is to have, and how many of them are ready and have said that their guard is armed.
type Copies struct{ Wanted, Ready, Armed int }

// Copies counts the pods of a machine. The log of the first is followed by whoever looks after the machine; this asks each.
func (p *Provider) Copies(ctx context.Context, id string) (Copies, error) {
	var job batchv1.Job
	if err := p.c.do(ctx, call{op: "get", path: p.path(batchV1, "jobs", id)}, &job); err != nil {
		return Copies{}, unproven(err)
	}
	pods, err := p.pods(ctx, "get", kubeobject.MachineLabel+"="+id)
	if err != nil {
		return Copies{}, err
	}
	c := Copies{Wanted: podsOf(job)}
	for _, pod := range pods {
		if ended(pod) || pod.Status.Phase != corev1.PodRunning || !ready(pod) {
			continue
		}
		c.Ready++
		lines, err := p.some(ctx, pod.Name, url.Values{"limitBytes": {"65536"}}) // it is among its first words
		if err != nil {
			return c, err
		}
		if slices.ContainsFunc(lines, func(l launch.LogLine) bool { return strings.Contains(l.Text, "justright guard status=armed") }) {
			c.Armed++
		}
	}
	return c, nil
}

// some reads a part of a pod's log, as it is now.
func (p *Provider) some(ctx context.Context, pod string, part url.Values) ([]launch.LogLine, error) {
	q := url.Values{"container": {kubeobject.Container}, "timestamps": {"true"}}
	for k, v := range part {
		q[k] = v
	}
	res, err := p.c.http.Do(ctx, httpclient.Request{URL: p.c.base + p.path(coreV1, "pods", pod, "log") + "?" + q.Encode(), Header: http.Header{"Accept": {"*/*"}}, MaxBody: 4 << 20})
	if err != nil {
		return nil, unproven(fail("logs", err))
	}
	var out []launch.LogLine
	s := bufio.NewScanner(strings.NewReader(string(res.Body)))
	s.Buffer(nil, 4<<20)
	for s.Scan() {
		stamp, text, _ := strings.Cut(s.Text(), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			continue
		}
		if len(text) > maxText {
			text = strings.ToValidUTF8(text[:maxText], "")
		}
		out = append(out, launch.LogLine{At: at, Text: text})
	}
	return out, s.Err()
}

// fallenLines is how much is told of what a pod said that failed beside the one that is followed: a cause stands above its last words.
const fallenLines = "400"

// fallen hands on the last words of pods that failed beside the one whose log is followed: the cause may stand in theirs alone.
func (fo *follower) fallen(ctx context.Context, pods []corev1.Pod) error {
	if first := speaker(pods); first != nil && fo.at.at.IsZero() {
		if st := statusOfContainer(*first); st != nil && st.State.Waiting == nil {
			return nil // it speaks first
		}
	}
	for _, pod := range pods {
		st := statusOfContainer(pod)
		if pod.Labels[kubeobject.RankLabel] == "" || pod.Name == fo.at.pod || slices.Contains(fo.done, pod.Name) || slices.Contains(fo.heard, pod.Name) ||
			st == nil || st.State.Terminated == nil || st.State.Terminated.ExitCode == 0 {
			continue
		}
		fo.heard = append(fo.heard, pod.Name)
		lines, err := fo.p.some(ctx, pod.Name, url.Values{"tailLines": {fallenLines}})
		if err != nil {
			continue // its end is told all the same
		}
		for n, l := range lines {
			if !l.At.After(fo.words.since) {
				continue // an earlier call told it
			}
			next := fo.at.said("fallen."+pod.Name+"."+strconv.Itoa(n), l.At)
			l.ID, l.Source, l.Text = next.String(), "container", "["+strconv.Itoa(rankOf(pod))+"] "+l.Text
			if err := fo.emit(l); err != nil {
				return stopped{err}
			}
			fo.at = next
		}
	}
	return nil
}

// Each is the most cards that each of so many pods can have on nodes of one kind, as the last Offers saw them; 0: no room for so many.
// selector is the offer's; empty for pods without a card, of which each counts as one.
func (p *Provider) Each(selector string, pods int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.rooms[selector]
	for each := slices.Max(append([]int{0}, free...)); each > 0; each-- {
		room := 0
		for _, n := range free {
			room += n / each
		}
		if room >= pods {
			return each
		}
	}
	return 0
}
