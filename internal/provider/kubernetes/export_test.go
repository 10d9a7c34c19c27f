package kubernetes

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
)

// ParseMark is parseMark, for tests.
var ParseMark = parseMark

// Deadline is the cluster's own limit of a machine, in seconds.
func (p *Provider) Deadline(ctx context.Context, id string) (int64, error) {
	var job batchv1.Job
	err := p.c.do(ctx, call{op: "get", path: p.path(batchV1, "jobs", id)}, &job)
	if err != nil || job.Spec.ActiveDeadlineSeconds == nil {
		return 0, err
	}
	return *job.Spec.ActiveDeadlineSeconds, nil
}

// Lasting is lasting, for tests.
var Lasting = lasting
