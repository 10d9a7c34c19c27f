package cli

import "justright/solve"

// anyway puts the pinned stack first though the facts about the model refuse it: a person may know better, or want to
// see it fail. It is judged as for a model nothing is known of, so that gates of host, wheel and Python still hold.
// What comes after it goes by the facts, without the pins that did not work.
func (p *planner) anyway(r solve.Request) (solve.Result, error) {
	blind := r
	blind.Lessons = nil
	m := &blind.Model
	m.Architecture, m.Architectures, m.ModelType, m.TextModelType, m.Quant = "", nil, "", "", nil
	forced, err := p.w.solve(blind)
	if err != nil || len(forced.Plans) == 0 {
		return forced, err
	}
	free := r
	free.Pins.Engine, free.Pins.Image, free.Pins.Install, free.Pins.WheelCUDA = "", "", "", ""
	free.Pins.Torch, free.Pins.Transformers, free.Pins.Python = "", "", ""
	res, err := p.w.solve(free)
	if err != nil {
		return res, err
	}
	res.Plans, res.Conflict = append(forced.Plans[:1:1], res.Plans...), nil
	for i := range res.Plans {
		res.Plans[i].Rank = i + 1
	}
	return res, nil
}
