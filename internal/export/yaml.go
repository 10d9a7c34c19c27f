package export

import (
	"fmt"
	"strings"

	"justright/boot"
)

// cacheRoot is where the start script keeps environments, weights and compile caches inside these containers.
const cacheRoot = "/justright-cache"

// shmBytes is the shared memory given to the engine: NCCL and multiprocessing use it, and containers have 64 MB.
const shmGiB = 8

// yaml collects lines.
type yaml struct{ b strings.Builder }

func (y *yaml) line(format string, a ...any) { fmt.Fprintf(&y.b, format+"\n", a...) }

// compose doubles every dollar: Compose reads $NAME and ${NAME} everywhere, $$ is one dollar.
func compose(p Plan) (string, []string) {
	dollars := func(s string) string { return strings.ReplaceAll(s, "$", "$$") }
	y := &yaml{}
	y.line("name: %s", p.Name)
	y.line("services:")
	y.line("  engine:")
	y.line("    image: %s", quote(dollars(p.Stack.Image)))
	y.line("    entrypoint: [\"/bin/sh\", \"/justright/start.sh\"]")
	y.line("    command: []")
	y.line("    restart: \"no\"")
	y.line("    ports:")
	y.line("      - \"127.0.0.1:%d:%d\"", p.Port, p.Port)
	y.line("    environment:")
	keys, values, secrets := p.env()
	for _, k := range keys {
		y.line("      %s: %s", k, quote(dollars(values[k])))
	}
	y.line("      JUSTRIGHT_ROOT: %s", cacheRoot)
	for _, s := range secrets {
		y.line("      %s: \"${%s:?%s}\"", s.Name, s.Name, strings.ReplaceAll(s.Why, "}", ")"))
	}
	y.line("    shm_size: %dgb", shmGiB)
	y.line("    stop_grace_period: 30s")
	y.line("    volumes:")
	y.line("      - cache:%s", cacheRoot)
	y.line("    configs:")
	y.line("      - source: start")
	y.line("        target: /justright/start.sh")
	if p.Stack.GPU.ID != "" {
		y.line("    deploy:")
		y.line("      resources:")
		y.line("        reservations:")
		y.line("          devices:")
		y.line("            - driver: nvidia")
		y.line("              count: %d", max(1, p.Stack.GPU.Count))
		y.line("              capabilities: [gpu]")
	}
	y.line("configs:")
	y.line("  start:")
	y.line("    content: %s", literal(dollars(p.Script.Text), 6))
	y.line("volumes:")
	y.line("  cache: {}")
	notes := []string{
		"needs Docker Compose 2.23.1 or later (inline configs)",
		"start it: VLLM_API_KEY=... docker compose -f FILE up; end it: docker compose -f FILE down",
		fmt.Sprintf("it listens on this machine alone, port %d", p.Port),
	}
	if p.Stack.GPU.ID != "" {
		notes = append(notes, "needs the NVIDIA container toolkit")
	}
	return y.b.String(), notes
}

// packed is the start script as one shell command.
func packed(p Plan) string {
	start := p.Script.Start()
	return boot.JoinArgs(append(append([]string{}, start.Entrypoint...), start.Cmd...))
}

func skypilot(p Plan) (string, []string) {
	y := &yaml{}
	y.line("name: %s", p.Name)
	y.line("resources:")
	if p.Stack.GPU.ID != "" {
		y.line("  accelerators: %s:%d", skyName(p.GPU, p.Stack.GPU.ID), max(1, p.Stack.GPU.Count))
	}
	y.line("  image_id: %s", quote("docker:"+p.Stack.Image))
	y.line("  disk_size: %d", p.DiskGB)
	y.line("  ports: [%d]", p.Port)
	keys, values, secrets := p.env()
	y.line("envs:")
	for _, k := range keys {
		y.line("  %s: %s", k, quote(values[k]))
	}
	y.line("secrets:")
	for _, s := range secrets {
		y.line("  %s: null", s.Name)
	}
	y.line("run: %s", literal(packed(p)+"\n", 2))
	launch := "sky launch -c " + p.Name + " FILE"
	for _, s := range secrets {
		launch += " --secret " + s.Name
	}
	return y.b.String(), []string{
		"start it: " + launch + " --down -i 30; end it: sky down " + p.Name,
		"card names are SkyPilot's own; sky show-gpus lists them",
	}
}

func dstack(p Plan) (string, []string) {
	y := &yaml{}
	y.line("type: service")
	y.line("name: %s", p.Name)
	y.line("image: %s", quote(p.Stack.Image))
	keys, values, secrets := p.env()
	y.line("env:")
	for _, k := range keys {
		y.line("  - %s", quote(k+"="+values[k]))
	}
	for _, s := range secrets {
		y.line("  - %s", s.Name)
	}
	y.line("commands:")
	y.line("  - %s", literal(packed(p), 4))
	y.line("port: %d", p.Port)
	y.line("auth: false") // the engine has its own key, which dstack's would shadow
	y.line("resources:")
	if p.Stack.GPU.ID != "" {
		y.line("  gpu:")
		y.line("    name: %s", dstackName(p.GPU, p.Stack.GPU.ID))
		if p.GPU.MarketingGB > 0 {
			y.line("    memory: %dGB", p.GPU.MarketingGB)
		}
		y.line("    count: %d", max(1, p.Stack.GPU.Count))
	}
	y.line("  disk: %dGB..", p.DiskGB)
	y.line("  shm_size: %dGB", shmGiB)
	return y.b.String(), []string{
		"start it: VLLM_API_KEY=... dstack apply -f FILE; end it: dstack stop " + p.Name,
		"card names are dstack's own; dstack offer lists them",
	}
}
