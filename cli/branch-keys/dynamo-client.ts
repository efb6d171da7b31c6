/** DynamoDB as the AWS SDK's configuration has it (environment, profile). */
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CommandFailure } from "../command.js";

/** A client that knows its Region. @throws CommandFailure when nothing tells the Region */
export async function dynamoClient(): Promise<DynamoDBClient> {
  const client = new DynamoDBClient({});
  try {
    await client.config.region();
  } catch (cause) {
    throw new CommandFailure(2, "nothing tells the Region of the DynamoDB table: set AWS_REGION", { cause });
  }
  return client;
}
