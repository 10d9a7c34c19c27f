package runpodsim

import (
	"time"

	"justright/money"
)

// Storage prices per GB and month (docs.runpod.io/pods/pricing, 2026), and the month the simulator counts with.
const (
	containerDiskMonth  = money.USD(100_000_000) // while running
	volumeRunningMonth  = money.USD(100_000_000)
	volumeStoppedMonth  = money.USD(200_000_000)
	networkMonth        = money.USD(70_000_000) // to 1 TB
	networkMonthAbove   = money.USD(50_000_000)
	networkHighPerMonth = money.USD(140_000_000) // the high-performance tier is "dearer"; the figure is ours
	HoursPerMonth       = 730
)

// perHour is what gb cost an hour at a monthly price.
func perHour(month money.USD, gb int) money.USD {
	return month * money.USD(gb) / HoursPerMonth
}

// rates are prices per hour.
type rates struct{ gpu, cpu, disk money.USD }

func (r rates) total() money.USD { return r.gpu + r.cpu + r.disk }

// volumePrice is what a network volume costs per hour.
func volumePrice(gb int, tier string) money.USD {
	if tier == "HIGH_PERFORMANCE" {
		return perHour(networkHighPerMonth, gb)
	}
	return perHour(networkMonth, min(gb, 1000)) + perHour(networkMonthAbove, max(gb-1000, 0))
}

// meter is a bill by the second: stretches of time at one price.
type meter struct {
	past []stretch
	from time.Time
	rate rates
}

type stretch struct {
	from, to time.Time
	rate     rates
}

// set ends the present stretch and begins one at r.
func (m *meter) set(now time.Time, r rates) {
	if r == m.rate {
		return
	}
	if m.rate != (rates{}) && now.After(m.from) {
		m.past = append(m.past, stretch{m.from, now, m.rate})
	}
	m.from, m.rate = now, r
}

// between is what was spent from one time to another, by kind.
func (m *meter) between(from, to time.Time) rates {
	var sum rates
	add := func(x stretch) {
		a, b := x.from, x.to
		if a.Before(from) {
			a = from
		}
		if b.After(to) {
			b = to
		}
		if b.After(a) {
			d := b.Sub(a)
			sum.gpu += x.rate.gpu.For(d)
			sum.cpu += x.rate.cpu.For(d)
			sum.disk += x.rate.disk.For(d)
		}
	}
	for _, x := range m.past {
		add(x)
	}
	if m.rate != (rates{}) {
		add(stretch{m.from, to, m.rate})
	}
	return sum
}

// spent is the whole bill up to now.
func (m *meter) spent(now time.Time) money.USD {
	return m.between(time.Time{}, now).total()
}

// checkBalanceLater plans RunPod's five-minute look at the credit.
func (s *Server) checkBalanceLater() {
	s.once(5*time.Minute, func() {
		if s.balance() <= 0 {
			for _, id := range s.order {
				p := s.pods[id]
				if p.meter.rate == (rates{}) || p.status == exited {
					continue
				}
				if p.network != nil {
					s.stop(p, "Exited by RunPod: Insufficient balance")
				} else {
					s.terminate(p, "Terminated by RunPod: Insufficient balance")
				}
			}
		}
		s.checkBalanceLater()
	})
}

// balance is the credit left; without a balance it is large.
func (s *Server) balance() money.USD {
	if s.opts.Balance == nil {
		return 1_000_000 * money.Dollar
	}
	return *s.opts.Balance + s.granted - s.spentAll()
}

// spentAll is every pod's and volume's bill.
func (s *Server) spentAll() money.USD {
	var sum money.USD
	for _, p := range s.pods {
		sum += p.meter.spent(s.now())
	}
	for _, v := range s.volumes.all() {
		sum += v.meter.spent(s.now())
	}
	return sum
}

// burn is what the account costs per hour now.
func (s *Server) burn() money.USD {
	var sum money.USD
	for _, p := range s.pods {
		sum += p.meter.rate.total()
	}
	return sum
}
