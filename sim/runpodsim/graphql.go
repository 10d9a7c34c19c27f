package runpodsim

import "net/http"

func (s *Server) graphql(w http.ResponseWriter, r *http.Request) {}
func (s *Server) serveV1(w http.ResponseWriter, r *http.Request) {}
