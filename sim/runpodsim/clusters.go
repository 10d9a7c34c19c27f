package runpodsim

import "net/http"

type membership struct{}

func (m *membership) v2() map[string]any { return nil }

type cluster struct{}
type endpoint struct{}

func clusterRoutes(add adder)                                    {}
func serverlessRoutes(add adder)                                 {}
func billingRoutes(add adder)                                    {}
func (s *Server) graphql(w http.ResponseWriter, r *http.Request) {}
func (s *Server) serveV1(w http.ResponseWriter, r *http.Request) {}
