// Command resolve resolves the key, the model, the endpoint and the payer, over connections to all replicas of byokd.
//
//	buf generate        # the contract's Go code, once
//	export BYOKD_TOKEN=$(byokd token --role resolver --workspace acme)
//	go run . dns:///byokd-headless.byokd:50051 acme gpt-4o-mini
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/grpc/metadata"

	"byokd.example/resolve/balanced"
	byokv1 "byokd.example/resolve/byok/v1"
)

func main() {
	log.SetFlags(0)
	token := os.Getenv("BYOKD_TOKEN")
	if len(os.Args) != 4 || token == "" {
		log.Fatal("usage: BYOKD_TOKEN=TOKEN go run . TARGET WORKSPACE MODEL")
	}
	serviceConfig, err := os.ReadFile("../service_config.json")
	if err != nil {
		log.Fatalf("run this in examples/go: %v", err)
	}
	connection, err := balanced.Dial(os.Args[1], string(serviceConfig))
	if err != nil {
		log.Fatalf("%s is not a gRPC target: %v", os.Args[1], err)
	}
	defer connection.Close()

	// The service config sets the deadline of each method.
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	request := &byokv1.ResolveCredentialsRequest{WorkspaceId: os.Args[2], Model: os.Args[3]}
	resolved, err := byokv1.NewKeyServiceClient(connection).ResolveCredentials(ctx, request)
	if err != nil {
		log.Fatalf("byokd refused: %v", err)
	}
	// The key is in resolved.GetCredential(). Send it to resolved.GetEndpoint() and nowhere else.
	fmt.Printf("%s %s at %s, %s, resolution %s\n", resolved.GetProvider(), resolved.GetModel(),
		resolved.GetEndpoint().GetBaseUrl(), resolved.GetBilling().GetMode(), resolved.GetResolutionId())
}
