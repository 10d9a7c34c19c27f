package kubesim

import (
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// indexed is a job of several numbered pods: each number has its pod and, where the job allows that, its own retries. end ends the job;
// make makes the pod of a number. The lock is held.
func (c *Cluster) indexed(j batchv1.Job, mine []corev1.Pod, end func(batchv1.JobConditionType, string), make func(index string)) {
	finish := func(kind batchv1.JobConditionType, reason string) {
		for _, p := range mine {
			if !over(p) {
				c.mark(p)
			}
		}
		end(kind, reason)
	}
	first := func(s string) bool {
		return j.Spec.SuccessPolicy != nil && len(j.Spec.SuccessPolicy.Rules) > 0 && j.Spec.SuccessPolicy.Rules[0].SucceededIndexes != nil &&
			*j.Spec.SuccessPolicy.Rules[0].SucceededIndexes == s
	}
	through, lost := 0, 0
	for i := range int(*j.Spec.Completions) {
		index := strconv.Itoa(i)
		failed, standing := 0, false
		for _, p := range mine {
			if p.Labels[batchv1.JobCompletionIndexAnnotation] != index {
				continue
			}
			ignored := j.Spec.PodFailurePolicy != nil && slices.ContainsFunc(p.Status.Conditions, func(x corev1.PodCondition) bool { return x.Type == corev1.DisruptionTarget })
			switch {
			case p.Status.Phase == corev1.PodSucceeded && first(index):
				finish(batchv1.JobComplete, "SuccessPolicy")
				return
			case p.Status.Phase == corev1.PodSucceeded:
				through++
				standing = true
			case p.Status.Phase == corev1.PodFailed && !ignored:
				failed++
			case !over(p):
				standing = true
			}
		}
		switch each := j.Spec.BackoffLimitPerIndex; {
		case standing:
		case failed > 0 && each == nil:
			finish(batchv1.JobFailed, "BackoffLimitExceeded")
			return
		case each != nil && failed > int(*each):
			lost++
		default:
			make(index)
		}
	}
	switch n := int(*j.Spec.Completions); {
	case through == n:
		end(batchv1.JobComplete, "Completed")
	case through+lost == n:
		end(batchv1.JobFailed, "FailedIndexes")
	}
}
