//! `gateway-server check-config`.

use clap::Args;

use super::{CommandFailure, Context};
use crate::config::Secrets;

#[derive(Args, Debug)]
pub(super) struct CheckConfig {}

impl CheckConfig {
    /// Checks the configuration and prints it. Touches no other file, so it can run beside the server, or
    /// where none will run.
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        let loaded = context.load()?;
        Secrets::check(&loaded.config)?;
        if let Some(warning) = loaded.warning {
            writeln!(context.output, "# {warning}")?;
        }
        write!(context.output, "{}", loaded.config.describe())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn the_options_in_effect_are_printed_with_secrets_masked() {
        let variables = [
            ("PORT", "9000"),
            ("JWT_SECRET", "hush"),
            ("GATEWAY_HTTP_LISTEN", "127.0.0.1"),
            ("NODE_ENV", "production"),
        ];
        let printed = run(&["check-config"], &variables).expect("a good configuration");
        assert!(
            printed.starts_with("# these variables have no effect: NODE_ENV\n"),
            "{printed}"
        );
        assert!(
            printed.contains("\nhttp.port = 9000\n") && !printed.contains("hush"),
            "{printed}"
        );
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        let sentence = run(&["check-config"], &[("PORT", "eighty")]).expect_err("a refusal");
        assert!(
            sentence.contains("variable PORT") && !sentence.contains('\n'),
            "{sentence}"
        );
        let cluster = [("DATABASE_URL", "postgres://db/gateway")];
        let sentence = run(&["check-config"], &cluster).expect_err("a refusal");
        assert!(sentence.contains("JWT_SECRET is not set"), "{sentence}");
    }

    #[test]
    fn a_file_is_named_by_option_or_variable() {
        for (arguments, variables) in [
            (
                ["check-config", "--config=/nonexistent.toml"].as_slice(),
                [].as_slice(),
            ),
            (
                ["check-config"].as_slice(),
                [("GATEWAY_CONFIG", "/nonexistent.toml")].as_slice(),
            ),
        ] {
            let sentence = run(arguments, variables).expect_err("a refusal");
            assert!(sentence.contains("/nonexistent.toml"), "{sentence}");
        }
    }
}
