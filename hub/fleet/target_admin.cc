#include "hub/fleet/target_admin.h"

#include <fmt/format.h>

#include <utility>

#include "common/files.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::hub {

absl::Status CheckName(std::string_view what, std::string_view name) {
  const bool good = !name.empty() && name.size() <= kMaxTargetNameBytes && IsValidUtf8(name) &&
                    EscapeControl(name) == name && name.find('/') == std::string_view::npos && Trim(name) == name;
  if (good) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_NAME",
                   fmt::format("{} must have 1 to {} bytes, no control characters, no \"/\" and no white space at its "
                               "ends",
                               what, kMaxTargetNameBytes));
}

AuditRecord TargetAdmin::Audit(std::string_view actor, std::string_view action, std::string_view subject,
                               std::string detail) const {
  return {.sequence = 0,
          .at = clock_->Now(),
          .actor = std::string(actor),
          .action = std::string(action),
          .subject = std::string(subject),
          .detail = std::move(detail)};
}

absl::StatusOr<TargetAdmin::Credentials> TargetAdmin::CreateTarget(std::string_view name, types::v1::TargetType type,
                                                                   std::string_view customer, std::string_view actor) {
  RETURN_IF_ERROR(CheckName("a target's name", name));
  if (!customer.empty()) RETURN_IF_ERROR(CheckName("a customer's name", customer));
  if (type == types::v1::TARGET_TYPE_UNSPECIFIED || !types::v1::TargetType_IsValid(type)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_TYPE",
                     "a target's type must be docker, kubernetes or host");
  }
  const absl::Time now = clock_->Now();
  Credentials credentials{.target_id = NewId("tgt_"),
                          .secret = Secret::Random(kTargetSecretPrefix),
                          .connect_code = Secret::Random(kConnectCodePrefix),
                          .connect_expires = now + kConnectCodeLifetime};
  StoredTarget target;
  target.id = credentials.target_id;
  target.name = name;
  target.type = type;
  target.customer = customer;
  target.created = now;
  target.secret_hash = HashSecret(credentials.secret.Reveal());
  target.open = {.state = types::v1::TARGET_STATE_NOT_CONNECTED, .from = now, .to = {}, .reason = "created"};
  const SecretHash code = HashSecret(credentials.connect_code.Reveal());
  const AuditRecord audit = Audit(actor, "target.create", target.id, fmt::format("name \"{}\"", name));
  RETURN_IF_ERROR(store_->writer().Run(
      [&](sqlite::Database& database) -> absl::Status {
        RETURN_IF_ERROR(InsertTarget(database, target));
        RETURN_IF_ERROR(InsertConnectCode(database, code, target.id, now, credentials.connect_expires));
        return AppendAudit(database, audit);
      },
      [&] { fleet_->Add(std::move(target)); }));
  return credentials;
}

absl::StatusOr<TargetAdmin::Credentials> TargetAdmin::Reconnect(std::string_view target_id, std::string_view actor) {
  const Moment now = clock_->Read();
  Credentials credentials{.target_id = std::string(target_id),
                          .secret = Secret::Random(kTargetSecretPrefix),
                          .connect_code = Secret::Random(kConnectCodePrefix),
                          .connect_expires = now.wall + kConnectCodeLifetime};
  const SecretHash secret = HashSecret(credentials.secret.Reveal());
  const SecretHash code = HashSecret(credentials.connect_code.Reveal());
  const AuditRecord audit = Audit(actor, "target.reconnect", target_id, "");
  std::int64_t generation = 0;
  RETURN_IF_ERROR(store_->writer().Run(
      [&](sqlite::Database& database) -> absl::Status {
        ASSIGN_OR_RETURN(generation, RotateSecret(database, target_id, secret, now.wall));
        RETURN_IF_ERROR(InsertConnectCode(database, code, target_id, now.wall, credentials.connect_expires));
        return AppendAudit(database, audit);
      },
      [&] { fleet_->Rotate(target_id, secret, generation, clock_->Read()); }));
  return credentials;
}

absl::StatusOr<TargetAdmin::Redeemed> TargetAdmin::Redeem(std::string_view code) {
  const absl::Time now = clock_->Now();
  Redeemed redeemed{.target_id = "", .secret = Secret::Random(kTargetSecretPrefix)};
  const SecretHash secret = HashSecret(redeemed.secret.Reveal());
  const SecretHash code_hash = HashSecret(code);
  std::int64_t generation = 0;
  RETURN_IF_ERROR(store_->writer().Run(
      [&](sqlite::Database& database) -> absl::Status {
        ASSIGN_OR_RETURN(redeemed.target_id, FindConnectCode(database, code_hash, now));
        ASSIGN_OR_RETURN(generation, RotateSecret(database, redeemed.target_id, secret, now));
        return AppendAudit(database, Audit("connect code", "target.redeem", redeemed.target_id, ""));
      },
      [&] { fleet_->Rotate(redeemed.target_id, secret, generation, clock_->Read()); }));
  return redeemed;
}

absl::StatusOr<std::string> TargetAdmin::TargetOf(std::string_view code) {
  std::string target_id;
  RETURN_IF_ERROR(store_->Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(target_id, FindConnectCode(database, HashSecret(code), clock_->Now()));
    return absl::OkStatus();
  }));
  return target_id;
}

absl::Status TargetAdmin::DeleteTarget(std::string_view target_id, std::string_view actor) {
  const Moment now = clock_->Read();
  const AuditRecord audit = Audit(actor, "target.delete", target_id, "");
  return store_->writer().Run(
      [&](sqlite::Database& database) -> absl::Status {
        RETURN_IF_ERROR(MarkTargetDeleted(database, target_id, now.wall));
        return AppendAudit(database, audit);
      },
      [&] { fleet_->Delete(target_id, now); });
}

absl::Status TargetAdmin::UpdateTarget(std::string_view target_id, const std::optional<std::string>& name,
                                       std::optional<bool> metrics_enabled, std::string_view actor) {
  if (name) RETURN_IF_ERROR(CheckName("a target's name", *name));
  AuditRecord audit = Audit(actor, "target.update", target_id, "");
  TargetSettings settings;
  return store_->writer().Run(
      [&](sqlite::Database& database) -> absl::Status {
        ASSIGN_OR_RETURN(settings, hub::UpdateTarget(database, target_id, name, metrics_enabled));
        audit.detail = fmt::format("name \"{}\", metrics {}", settings.name, settings.metrics_enabled ? "on" : "off");
        return AppendAudit(database, audit);
      },
      [&] { fleet_->Update(target_id, settings.name, settings.metrics_enabled); });
}

absl::Status TargetAdmin::UpdateDeployment(const fleet::v1::Deployment& current, std::optional<bool> logs_enabled,
                                           const std::optional<std::string>& application,
                                           const std::optional<std::string>& application_version,
                                           std::string_view actor) {
  for (const std::optional<std::string>* text : {&application, &application_version}) {
    // An empty name goes back to what the labels say.
    const bool named = text->has_value() && !(*text)->empty();
    if (named) RETURN_IF_ERROR(CheckName("an application's name and version", **text));
  }
  const auto choose = [](const std::optional<std::string>& wanted, std::optional<std::string>& kept) {
    if (wanted) kept = wanted->empty() ? std::nullopt : wanted;
  };
  AuditRecord audit = Audit(actor, "deployment.update", current.id(), "");
  DeploymentChoices choices;
  return store_->writer().Run(
      [&](sqlite::Database& database) -> absl::Status {
        ASSIGN_OR_RETURN(choices, ReadDeploymentChoices(database, current.id()));
        if (logs_enabled) choices.logs_enabled = *logs_enabled;
        choose(application, choices.application);
        choose(application_version, choices.application_version);
        RETURN_IF_ERROR(UpdateDeploymentChoices(database, current.id(), choices));
        audit.detail = fmt::format("logs {}, application \"{}\", version \"{}\"", choices.logs_enabled ? "on" : "off",
                                   choices.application.value_or(""), choices.application_version.value_or(""));
        return AppendAudit(database, audit);
      },
      [&] { fleet_->SetChoices(current.target_id(), current.id(), choices, clock_->Read()); });
}

absl::Status TargetAdmin::DeleteDeployment(const fleet::v1::Deployment& current, std::string_view actor) {
  if (!fleet_->MayForget(current.target_id(), current.id())) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "DEPLOYMENT_IN_USE",
                     fmt::format("\"{}\" still has containers on \"{}\"; remove them there first", current.name(),
                                 current.target_name()));
  }
  const AuditRecord audit = Audit(actor, "deployment.delete", current.id(),
                                  fmt::format("\"{}\" on \"{}\"", current.name(), current.target_name()));
  return store_->writer().Run(
      [&](sqlite::Database& database) -> absl::Status {
        RETURN_IF_ERROR(ArchiveDeployment(database, current.id(), audit.at));
        return AppendAudit(database, audit);
      },
      [&] { fleet_->Forget(current.target_id(), current.id(), clock_->Read()); });
}

}  // namespace muster::hub
