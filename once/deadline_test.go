package once

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type value struct{}

// It is what context.WithTimeout of context.WithoutCancel is, for whoever looks.
func TestDeadline(t *testing.T) {
	for name, look := range map[string]bool{"somebody looks": true, "nobody looks before": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(context.WithValue(t.Context(), value{}, "kept"))
				d := newDeadline(parent, time.Second)
				var child context.Context = d
				if look {
					c, stop := context.WithCancel(d)
					defer stop()
					child = c
				}
				cancel()
				synctest.Wait()
				if at, is := d.Deadline(); !is || time.Until(at) != time.Second || d.Value(value{}) != "kept" || child.Err() != nil {
					t.Errorf("it ends at %v %v, has %v, and its child has ended: %v", at, is, d.Value(value{}), child.Err())
				}
				began := time.Now()
				if !look {
					time.Sleep(time.Second)
					if !errors.Is(d.Err(), context.DeadlineExceeded) {
						t.Errorf("when it is over it is %v", d.Err())
					}
				}
				<-child.Done()
				if !errors.Is(child.Err(), context.DeadlineExceeded) || !errors.Is(d.Err(), context.DeadlineExceeded) || time.Since(began) != time.Second {
					t.Errorf("after %v it is %v, its child %v", time.Since(began), d.Err(), child.Err())
				}
				if d.stop(); !errors.Is(d.Err(), context.DeadlineExceeded) {
					t.Errorf("stopped later it is %v", d.Err())
				}
			})
		})
	}
}

// When the attempt has ended, so has it.
func TestADeadlineThatIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked, not := newDeadline(t.Context(), time.Hour), newDeadline(t.Context(), time.Hour)
		done := looked.Done()
		looked.stop()
		not.stop()
		<-done
		<-not.Done()
		if !errors.Is(looked.Err(), context.Canceled) || !errors.Is(not.Err(), context.Canceled) {
			t.Errorf("they are %v and %v", looked.Err(), not.Err())
		}
	})
}
