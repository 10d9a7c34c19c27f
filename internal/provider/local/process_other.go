//go:build !unix

package local

import (
	"context"
	"errors"

	"justright/launch"
)

var errSystem = errors.New("launches on this machine need a Unix system; use WSL, or rent a machine")

func (p *Provider) start(string, record, []string, map[string]string) error { return errSystem }

func (p *Provider) status(string) launch.Status { return launch.Gone }

// Delete has nothing to end here.
func (p *Provider) Delete(context.Context, string) error { return nil }
