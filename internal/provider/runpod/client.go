package runpod

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"justright/internal/httpclient"
)

// client speaks REST v2 (and one GraphQL question) with one account.
type client struct {
	http *httpclient.Client
	base string // without /v2
	key  httpclient.Secret
}

// call is one request to /v2.
type call struct {
	op     string // the word in errors
	method string // empty: GET
	path   string
	query  url.Values
	in     any                 // marshalled as the body; nil: none
	paid   bool                // may cost money: sent once, whatever happens
	hide   []httpclient.Secret // what errors must not quote
}

// do makes the call and decodes the answer into out, unless out is nil or the answer has no body.
func (c *client) do(ctx context.Context, q call, out any) error {
	r := httpclient.Request{Method: q.method, URL: c.base + "/v2" + q.path, Bearer: c.key, Once: q.paid, Hide: q.hide,
		Header: http.Header{"Accept": {"application/json"}}}
	if len(q.query) > 0 {
		r.URL += "?" + q.query.Encode()
	}
	if q.in != nil {
		b, err := json.Marshal(q.in)
		if err != nil {
			return fail(q.op, err)
		}
		r.Body = b
	}
	res, err := c.http.Do(ctx, r)
	if err != nil {
		return fail(q.op, err)
	}
	if out == nil || res.Status == http.StatusNoContent || len(res.Body) == 0 {
		return nil
	}
	if err := json.Unmarshal(res.Body, out); err != nil {
		e := fail(q.op, err)
		e.Status, e.URL, e.RequestID = res.Status, res.URL, res.RequestID
		e.Detail = "the answer is not the JSON this API promises"
		return e
	}
	return nil
}

func podPath(id string) string { return "/pods/" + url.PathEscape(id) }
