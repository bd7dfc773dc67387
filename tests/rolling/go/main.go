// Command load resolves without a pause, through the connection that examples/go makes, until its standard input ends.
//
// It prints "started" once every worker has had an answer, and at the end one line of JSON: how many calls, how many of
// them failed, how many attempts they took.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"

	"byokd.example/resolve/balanced"
	byokv1 "byokd.example/resolve/byok/v1"
)

const (
	workers = 3
	pause   = 20 * time.Millisecond
	keep    = 5 // failures that are printed
)

type counts struct {
	Calls    int64    `json:"calls"`
	Attempts int64    `json:"attempts"`
	Failed   int64    `json:"failed"`
	Failures []string `json:"failures"`
}

// attempts counts what is really sent: gRPC begins one for each attempt of a call. The health checks are calls, too.
type attempts struct{ count atomic.Int64 }

type method struct{}

func (a *attempts) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, method{}, info.FullMethodName)
}

func (a *attempts) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, begins := s.(*stats.Begin); begins && ctx.Value(method{}) == byokv1.KeyService_ResolveCredentials_FullMethodName {
		a.count.Add(1)
	}
}

func (a *attempts) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (a *attempts) HandleConn(context.Context, stats.ConnStats) {}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: load TARGET WORKSPACE SERVICE_CONFIG, with BYOKD_TOKEN and LOAD_KEY in the environment")
	}
	serviceConfig, err := os.ReadFile(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	counted := &attempts{}
	connection, err := balanced.Dial(os.Args[1], string(serviceConfig), grpc.WithStatsHandler(counted))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	keys := byokv1.NewKeyServiceClient(connection)
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+os.Getenv("BYOKD_TOKEN"))
	request := &byokv1.ResolveCredentialsRequest{WorkspaceId: os.Args[2], Provider: "openai"}

	var (
		lock  sync.Mutex
		sum   counts
		first sync.WaitGroup
		all   sync.WaitGroup
		done  = make(chan struct{})
	)
	one := func() {
		answer, err := keys.ResolveCredentials(ctx, request)
		if err == nil && answer.GetCredential().GetApiKey() != os.Getenv("LOAD_KEY") {
			err = fmt.Errorf("another key than the workspace's own")
		}
		lock.Lock()
		defer lock.Unlock()
		sum.Calls++
		if err != nil {
			sum.Failed++
			if len(sum.Failures) < keep {
				sum.Failures = append(sum.Failures, time.Now().Format("15:04:05.000 ")+err.Error())
			}
		}
	}
	for range workers {
		first.Add(1)
		all.Go(func() {
			one()
			first.Done()
			for {
				select {
				case <-done:
					return
				case <-time.After(pause):
					one()
				}
			}
		})
	}
	first.Wait()
	fmt.Println("started")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		log.Fatal(err)
	}
	close(done)
	all.Wait()
	sum.Attempts = counted.count.Load()
	if err := json.NewEncoder(os.Stdout).Encode(sum); err != nil {
		log.Fatal(err)
	}
}
