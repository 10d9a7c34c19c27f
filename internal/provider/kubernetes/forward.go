package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"justright/internal/httpclient"
)

// portForwardProtocol is the subprotocol of the API's port-forward.
const portForwardProtocol = "portforward.k8s.io"

// unheardFor is how long a forward lives on without an answer of the API server. Whoever sees the machine again starts another.
const unheardFor = time.Hour

// ServeForward carries connections of a listener to a machine's port, through the API server, until the machine is gone (nil) or ctx
// ends. Each connection has a stream to the cluster of its own: kubectl's carries all on one, which one refused connection ends.
func (p *Provider) ServeForward(ctx context.Context, id string, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = l.Close() })
	gone := make(chan struct{})
	go func() {
		denials, heard := 0, p.cfg.Now()
		for denials < 2 && p.cfg.Now().Sub(heard) < unheardFor {
			if p.cfg.Sleep(ctx, 3*p.cfg.Poll) != nil {
				return
			}
			_, _, out, err := p.PodOf(ctx, id)
			switch {
			case err != nil: // not heard: it may be there
			case out:
				denials, heard = denials+1, p.cfg.Now()
			default:
				denials, heard = 0, p.cfg.Now()
			}
		}
		close(gone)
		cancel()
	}()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			select {
			case <-gone:
				return nil
			default:
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		wg.Go(func() {
			defer func() { _ = conn.Close() }()
			_ = p.carry(ctx, id, conn) // the caller sees its connection end, as it would with an engine that is not there
		})
	}
}

// carry joins one connection with the machine's port.
func (p *Provider) carry(ctx context.Context, id string, conn net.Conn) error {
	pod, port, _, err := p.PodOf(ctx, id)
	if err != nil {
		return err
	}
	if pod == "" {
		return errors.New("no pod runs")
	}
	d, err := p.dialer(pod)
	if err != nil {
		return err
	}
	stream, protocol, err := d.Dial(portForwardProtocol)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	if protocol != portForwardProtocol {
		return fmt.Errorf("the API server speaks %q", protocol)
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close(); _ = conn.Close() })
	defer stop()
	return join(stream, conn, port)
}

// dialer reaches a pod's port-forward by websocket, and by SPDY where the server knows no other, as kubectl does.
func (p *Provider) dialer(pod string) (httpstream.Dialer, error) {
	cfg := rest.CopyConfig(p.cfg.REST)
	cfg.UserAgent = httpclient.DefaultUserAgent
	u, err := url.Parse(p.c.base + p.path(coreV1, "pods", pod, "portforward"))
	if err != nil {
		return nil, err
	}
	first, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, cfg)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	second := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
	return portforward.NewFallbackDialerForStreaming(first, second, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

// join copies both ways until the machine's side has ended.
func join(c httpstream.Connection, conn net.Conn, port int) error {
	h := http.Header{}
	h.Set(corev1.StreamType, corev1.StreamTypeError)
	h.Set(corev1.PortHeader, strconv.Itoa(port))
	h.Set(corev1.PortForwardRequestIDHeader, "0")
	refused, err := c.CreateStream(h)
	if err != nil {
		return err
	}
	_ = refused.Close() // nothing is written to it
	h.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := c.CreateStream(h)
	if err != nil {
		return err
	}
	done := make(chan error, 2)
	go func() {
		_, err := io.Copy(conn, data)
		done <- err
	}()
	go func() {
		_, err := io.Copy(data, conn)
		_ = data.Close() // no more is sent; the answer may still come
		if err != nil {
			done <- err
		}
	}()
	err = <-done
	_ = data.Reset()
	said := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(refused, 4096))
		said <- string(b)
	}()
	select {
	case s := <-said:
		if s != "" {
			return errors.New(s)
		}
	case <-time.After(time.Second):
	}
	return err
}
