// Package diagnose reads launch logs and names the cause: rules are data with sources, the first error that is
// no wrapper wins, and a log that is still starting, ready or stopped on purpose is no failure.
package diagnose
