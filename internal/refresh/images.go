package refresh

import (
	"context"
	"fmt"

	"justright/catalog"
	"justright/internal/ociregistry"
	"justright/version"
)

// Images reads the configs of images from their registries and makes the section of the catalog that says what they hold.
func Images(ctx context.Context, snap *catalog.Snapshot, registry *ociregistry.Client, refs []string, day string) (Result, error) {
	edit, err := catalog.Edit(snap)
	if err != nil {
		return Result{}, err
	}
	var res Result
	for _, ref := range refs {
		cfg, err := registry.Image(ctx, ref, "amd64")
		if err != nil {
			return res, err
		}
		if err := edit.AddImage(imageReading(ref, day, cfg)); err != nil {
			return res, err
		}
		res.Added = append(res.Added, "image "+ref)
	}
	res.Sections, err = edit.Sections()
	return res, err
}

// imageReading takes what decides out of an image's environment. An old image that states only CUDA_VERSION asks for that
// version, as the container tool reads it.
func imageReading(ref, day string, cfg ociregistry.Config) catalog.ImageReading {
	r := catalog.ImageReading{Ref: ref, Read: day, Digest: cfg.Digest, Require: cfg.Env["NVIDIA_REQUIRE_CUDA"],
		Entrypoint: cfg.Entrypoint, Cmd: cfg.Cmd}
	if c, err := version.ParseCUDA(cfg.Env["CUDA_VERSION"]); err == nil {
		r.CUDA = c
		if r.Require == "" {
			r.Require = fmt.Sprintf("cuda>=%s", c)
		}
	}
	if v, err := version.ParsePEP440(cfg.Env["PYTHON_VERSION"]); err == nil {
		r.Python = v.String()
	}
	return r
}
