/** The pages of AWS's documentation that the cases are written from. */
import type { Source } from "./case.js";

const IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide";
const KMS = "https://docs.aws.amazon.com/kms/latest/developerguide";
const ORGANIZATIONS = "https://docs.aws.amazon.com/organizations/latest/userguide";

const operators = (section: string, anchor: string): Source => ({
  title: `IAM JSON policy elements: Condition operators, "${section}"`,
  url: `${IAM}/reference_policies_elements_condition_operators.html#${anchor}`,
});
const principals = (section: string, anchor: string): Source => ({
  title: `AWS JSON policy elements: Principal, "${section}"`,
  url: `${IAM}/reference_policies_elements_principal.html#${anchor}`,
});
const variables = (section: string, anchor: string): Source => ({
  title: `IAM policy elements: Variables and tags, "${section}"`,
  url: `${IAM}/reference_policies_variables.html#${anchor}`,
});

export const STRING = operators("String condition operators", "Conditions_String");
export const NUMERIC = operators("Numeric condition operators", "Conditions_Numeric");
export const DATE = operators("Date condition operators", "Conditions_Date");
export const BOOL = operators("Boolean condition operators", "Conditions_Boolean");
export const BINARY = operators("Binary condition operators", "Conditions_BinaryEquals");
export const IP = operators("IP address condition operators", "Conditions_IPAddress");
export const ARN = operators("Amazon Resource Name (ARN) condition operators", "Conditions_ARN");
export const IF_EXISTS = operators("...IfExists condition operators", "Conditions_IfExists");
export const NULL = operators("Condition operator to check existence of condition keys", "Conditions_Null");
export const MISSING_KEY = operators("Important: a key that is not present", "topiclist");

export const SINGLE_OR_MULTIPLE: Source = {
  title: "Set operators for multivalued context keys",
  url: `${IAM}/reference_policies_condition-single-vs-multi-valued-context-keys.html`,
};
export const MULTIPLE_VALUES: Source = {
  title: 'Conditions with multiple context keys or values, "Evaluation logic for multiple context keys or values"',
  url: `${IAM}/reference_policies_condition-logic-multiple-context-keys-or-values.html`,
};

export const VARIABLES = variables("Introduction", "policy-vars-intro");
export const VARIABLES_WHERE = variables("Where you can use policy variables", "policy-vars-wheretouse");
export const VARIABLES_TAGS = variables("Tags as policy variables", "policy-vars-tags");
export const VARIABLES_NO_VALUE = variables("Policy variables with no value", "policy-vars-no-value");
export const VARIABLES_DEFAULT = variables("Specifying default values", "policy-vars-default-values");
export const VARIABLES_SPECIAL = variables("Special characters", "policy-vars-specialchars");
export const VERSION: Source = {
  title: "IAM JSON policy elements: Version",
  url: `${IAM}/reference_policies_elements_version.html`,
};

export const ACCOUNT_PRINCIPAL = principals("AWS account principals", "principal-accounts");
export const ROLE_PRINCIPAL = principals("IAM role principals", "principal-roles");
export const SESSION_PRINCIPAL = principals("Role session principals", "principal-role-session");
export const USER_PRINCIPAL = principals("IAM user principals", "principal-users");
export const SERVICE_PRINCIPAL = principals("AWS service principals", "principal-services");
export const ALL_PRINCIPALS = principals("All principals", "principal-anonymous");
export const NOT_PRINCIPAL: Source = {
  title: "AWS JSON policy elements: NotPrincipal",
  url: `${IAM}/reference_policies_elements_notprincipal.html`,
};
export const ACTION: Source = {
  title: "IAM JSON policy elements: Action",
  url: `${IAM}/reference_policies_elements_action.html`,
};
export const NOT_ACTION: Source = {
  title: "IAM JSON policy elements: NotAction",
  url: `${IAM}/reference_policies_elements_notaction.html`,
};
export const RESOURCE: Source = {
  title: "IAM JSON policy elements: Resource",
  url: `${IAM}/reference_policies_elements_resource.html`,
};
export const NOT_RESOURCE: Source = {
  title: "IAM JSON policy elements: NotResource",
  url: `${IAM}/reference_policies_elements_notresource.html`,
};

export const EVALUATION: Source = {
  title: "How AWS enforcement code logic evaluates requests to allow or deny access",
  url: `${IAM}/reference_policies_evaluation-logic_policy-eval-denyallow.html`,
};
export const INTERPLAY: Source = {
  title: "The difference between explicit and implicit denies",
  url: `${IAM}/reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html`,
};
export const BOUNDARIES: Source = {
  title: "Permissions boundaries for IAM entities",
  url: `${IAM}/access_policies_boundaries.html`,
};
export const SESSION_POLICIES: Source = {
  title: 'Policies and permissions in AWS Identity and Access Management, "Session policies"',
  url: `${IAM}/access_policies.html#policies_session`,
};
export const CROSS_ACCOUNT: Source = {
  title: "Cross-account policy evaluation logic",
  url: `${IAM}/reference_policies_evaluation-logic-cross-account.html`,
};

export const KEY_POLICIES: Source = { title: "Key policies in AWS KMS", url: `${KMS}/key-policies.html` };
export const DEFAULT_KEY_POLICY: Source = {
  title: 'Default key policy, "Allows access to the AWS account and enables IAM policies"',
  url: `${KMS}/key-policy-default.html#key-policy-default-allow-root-enable-iam`,
};
export const KEY_ACCESS: Source = {
  title: "Troubleshooting AWS KMS permissions",
  url: `${KMS}/policy-evaluation.html`,
};
export const EXTERNAL_ACCOUNTS: Source = {
  title: "Allowing users in other accounts to use a KMS key",
  url: `${KMS}/key-policy-modifying-external-accounts.html`,
};
export const IAM_POLICIES: Source = { title: "Using IAM policies with AWS KMS", url: `${KMS}/iam-policies.html` };
export const GRANTS: Source = { title: "Grants in AWS KMS", url: `${KMS}/grants.html` };
export const KMS_ENDPOINT: Source = {
  title: "Connect to AWS KMS through a VPC endpoint",
  url: `${KMS}/kms-vpc-endpoint.html`,
};
export const KMS_CONDITIONS: Source = { title: "AWS KMS condition keys", url: `${KMS}/conditions-kms.html` };
export const ATTESTATION_CONDITIONS: Source = {
  title: "AWS KMS condition keys for attested platforms",
  url: `${KMS}/conditions-attestation.html`,
};
export const SCP: Source = {
  title: "SCP evaluation",
  url: `${ORGANIZATIONS}/orgs_manage_policies_scps_evaluation.html`,
};
export const SCPS: Source = {
  title: "Service control policies (SCPs)",
  url: `${ORGANIZATIONS}/orgs_manage_policies_scps.html`,
};
export const RCP: Source = {
  title: "Resource control policies (RCPs)",
  url: `${ORGANIZATIONS}/orgs_manage_policies_rcps.html`,
};
export const RCP_EVALUATION: Source = {
  title: "RCP evaluation",
  url: `${ORGANIZATIONS}/orgs_manage_policies_rcps_evaluation.html`,
};
